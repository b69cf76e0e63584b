//! Activations in blocks of 8-bit integers, and their products with packed matrices.

use super::isa::{Isa, versions};
use super::packed::{BLOCK, Line, PANEL, Packed, Scales};
#[cfg(target_arch = "x86_64")]
use super::vnni;

/// Rows of activations, quantised: `value ≈ scale · quant` in every block of 32.
#[derive(Debug)]
pub struct Quantised {
    /// Blocks of a row.
    pub blocks: usize,
    /// Four quants to a word, lowest byte first; eight words to a block.
    pub quants: Vec<[i32; 8]>,
    /// One to a block.
    pub scales: Vec<f32>,
    /// The sum of a block's quants.
    pub sums: Vec<i32>,
}

/// One row of them.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub quants: &'a [[i32; 8]],
    pub scales: &'a [f32],
    pub sums: &'a [i32],
}

impl Quantised {
    /// Room for `rows` of `width`.
    pub fn new(isa: Isa, x: &[f32], width: usize) -> Self {
        let blocks = width / BLOCK;
        let count = x.len() / BLOCK;
        let mut made =
            Self { blocks, quants: vec![[0; 8]; count], scales: vec![0.0; count], sums: vec![0; count] };
        quantise(isa, x, &mut made.quants, &mut made.scales, &mut made.sums);
        made
    }

    /// One row.
    pub fn row(&self, row: usize) -> Row<'_> {
        let range = row * self.blocks..(row + 1) * self.blocks;
        Row {
            quants: &self.quants[range.clone()],
            scales: &self.scales[range.clone()],
            sums: &self.sums[range],
        }
    }
}

versions!(fn quantise(x: &[f32], quants: &mut [[i32; 8]], scales: &mut [f32], sums: &mut [i32]) = quantise_body);

#[inline(always)]
fn quantise_body<const FUSED: bool>(
    x: &[f32],
    quants: &mut [[i32; 8]],
    scales: &mut [f32],
    sums: &mut [i32],
) {
    let (blocks, _) = x.as_chunks::<BLOCK>();
    for (((x, quants), scale), sum) in blocks.iter().zip(quants).zip(scales).zip(sums) {
        let mut lanes = [0.0_f32; 16];
        for (lane, most) in lanes.iter_mut().enumerate() {
            *most = x[lane].abs().max(x[lane + 16].abs());
        }
        let most = lanes.iter().fold(0.0_f32, |most, lane| most.max(*lane));
        *scale = most / 127.0;
        let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
        let mut rounded = [0_i32; BLOCK];
        for (rounded, x) in rounded.iter_mut().zip(x) {
            // Rounds to the nearest: the sum of this constant and a small number has no room for fractions.
            *rounded = (x * inverse + 12_582_912.0).to_bits() as i32 - 0x4B40_0000;
        }
        *sum = rounded.iter().sum();
        for (word, four) in quants.iter_mut().zip(rounded.as_chunks::<4>().0) {
            *word = i32::from_le_bytes(four.map(|quant| quant as u8));
        }
    }
}

/// The lines and scales of one panel.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a, S> {
    pub lines: &'a [Line],
    pub scales: &'a [S],
    /// Empty where the encoding has no minimum.
    pub leasts: &'a [S],
    pub offset: i32,
}

/// A panel's scales in one block.
pub trait Group: Copy {
    fn lanes(&self) -> [f32; PANEL];
}

impl Group for [u16; PANEL] {
    #[inline(always)]
    fn lanes(&self) -> [f32; PANEL] {
        self.map(|bits| half::f16::from_bits(bits).to_f32())
    }
}

impl Group for [f32; PANEL] {
    #[inline(always)]
    fn lanes(&self) -> [f32; PANEL] {
        *self
    }
}

/// Products of one panel with every row of `x`, given to `out` row by row.
pub fn product(
    isa: Isa,
    packed: &Packed,
    panel: usize,
    x: &Quantised,
    out: &mut dyn FnMut(usize, &[f32; PANEL]),
) {
    let blocks = packed.blocks();
    let per_block = if packed.four { 4 } else { 8 };
    let lines = &packed.lines[panel * blocks * per_block..][..blocks * per_block];
    let range = panel * blocks..(panel + 1) * blocks;
    match (&packed.scales, &packed.leasts) {
        (Scales::Half(scales), Scales::Half(leasts)) => {
            let leasts = if leasts.is_empty() { &leasts[..] } else { &leasts[range.clone()] };
            let panel = Panel { lines, scales: &scales[range], leasts, offset: packed.offset };
            panel_product(isa, packed.four, panel, x, out);
        }
        (Scales::Full(scales), Scales::Full(leasts)) => {
            let panel = Panel {
                lines,
                scales: &scales[range.clone()],
                leasts: &leasts[range],
                offset: packed.offset,
            };
            portable_or_wide_full(isa, packed.four, panel, x, out);
        }
        _ => unreachable!("scales and minima are stored alike"),
    }
}

#[cfg(target_arch = "x86_64")]
fn panel_product(
    isa: Isa,
    four: bool,
    panel: Panel<'_, [u16; PANEL]>,
    x: &Quantised,
    out: &mut dyn FnMut(usize, &[f32; PANEL]),
) {
    if isa.level() == super::isa::Level::Avx512Vnni {
        return vnni::panel_half(isa, four, panel, x, out);
    }
    portable_half(isa, four, panel, x, out);
}

#[cfg(not(target_arch = "x86_64"))]
use portable_half as panel_product;

fn portable_or_wide_full(
    isa: Isa,
    four: bool,
    panel: Panel<'_, [f32; PANEL]>,
    x: &Quantised,
    out: &mut dyn FnMut(usize, &[f32; PANEL]),
) {
    #[cfg(target_arch = "x86_64")]
    if isa.level() == super::isa::Level::Avx512Vnni {
        return vnni::panel_full(isa, four, panel, x, out);
    }
    portable_full(isa, four, panel, x, out);
}

versions!(fn portable_half(
    four: bool,
    panel: Panel<'_, [u16; PANEL]>,
    x: &Quantised,
    out: &mut dyn FnMut(usize, &[f32; PANEL]),
) = portable);
versions!(fn portable_full(
    four: bool,
    panel: Panel<'_, [f32; PANEL]>,
    x: &Quantised,
    out: &mut dyn FnMut(usize, &[f32; PANEL]),
) = portable_f32);

#[inline(always)]
fn portable_f32<const FUSED: bool>(
    four: bool,
    panel: Panel<'_, [f32; PANEL]>,
    x: &Quantised,
    out: &mut dyn FnMut(usize, &[f32; PANEL]),
) {
    portable_rows::<FUSED, _>(four, panel, x, out);
}

#[inline(always)]
fn portable<const FUSED: bool>(
    four: bool,
    panel: Panel<'_, [u16; PANEL]>,
    x: &Quantised,
    out: &mut dyn FnMut(usize, &[f32; PANEL]),
) {
    portable_rows::<FUSED, _>(four, panel, x, out);
}

#[inline(always)]
fn portable_rows<const FUSED: bool, S: Group>(
    four: bool,
    panel: Panel<'_, S>,
    x: &Quantised,
    out: &mut dyn FnMut(usize, &[f32; PANEL]),
) {
    let rows = x.scales.len() / x.blocks.max(1);
    for index in 0..rows {
        let row = x.row(index);
        let mut total = [0.0_f32; PANEL];
        for block in 0..x.blocks {
            let mut sums = [-panel.offset * row.sums[block]; PANEL];
            for (group, word) in row.quants[block].iter().enumerate() {
                let (line, shift) = match four {
                    true => (&panel.lines[block * 4 + group % 4], 4 * (group / 4)),
                    false => (&panel.lines[block * 8 + group], 0),
                };
                let mask = if four { 15 } else { 255 };
                let word = word.to_le_bytes().map(|byte| i32::from(byte as i8));
                for (lane, sum) in sums.iter_mut().enumerate() {
                    for (column, quant) in word.iter().enumerate() {
                        *sum += i32::from(line.0[lane * 4 + column] >> shift & mask) * quant;
                    }
                }
            }
            let (scale, scales) = (row.scales[block], panel.scales[block].lanes());
            for ((total, sum), weight) in total.iter_mut().zip(sums).zip(scales) {
                *total += sum as f32 * (weight * scale);
            }
            if let Some(leasts) = panel.leasts.get(block) {
                let sum = scale * row.sums[block] as f32;
                for (total, least) in total.iter_mut().zip(leasts.lanes()) {
                    *total += least * sum;
                }
            }
        }
        out(index, &total);
    }
}
