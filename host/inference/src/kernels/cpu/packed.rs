//! Quantised matrices as products want them: panels of 16 rows, a block of 32 columns after another.
//!
//! Every encoding here means `value = scale · (quant − offset) + least`, with quants of 4 or 8 bits without a sign. A
//! [`Line`] is one vector register: 4 neighbouring columns of each of the 16 rows, as `vpdpbusd` multiplies them. Lines of
//! 4-bit quants hold two such groups: columns `4g…` in the low nibbles, `16 + 4g…` in the high ones.

use crate::gguf::{Encoding, half_at, scale_and_least, word_at};

/// Rows of a panel: 32-bit lanes of a 512-bit register.
pub const PANEL: usize = 16;
/// Columns that share a scale.
pub const BLOCK: usize = 32;

/// 64 quants of 8 bits, or 128 of 4.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Line(pub [u8; 64]);

/// The scales of a panel's 16 rows for one block, as halves or whole floats.
#[derive(Debug)]
pub enum Scales {
    /// As the file has them.
    Half(Vec<[u16; PANEL]>),
    /// Products of two numbers of the file, which a half would round.
    Full(Vec<[f32; PANEL]>),
}

/// A matrix in panels.
#[derive(Debug)]
pub struct Packed {
    pub rows: usize,
    pub columns: usize,
    /// Quants of 4 bits; else of 8.
    pub four: bool,
    pub offset: i32,
    pub lines: Vec<Line>,
    pub scales: Scales,
    /// As `scales`; empty where the encoding has no minimum.
    pub leasts: Scales,
}

/// One block of one row: 32 quants, scale and minimum.
struct Block {
    quants: [u8; BLOCK],
    scale: (u16, f32),
    least: (u16, f32),
}

/// What of `encoding` is kept: 4 bits, whole scales, minima, offset. What is not here is re-encoded as Q8_0.
fn form(encoding: Encoding) -> (bool, bool, bool, i32) {
    match encoding {
        Encoding::Q4_0 => (true, false, false, 8),
        Encoding::Q4_1 => (true, false, true, 0),
        Encoding::Q4K => (true, true, true, 0),
        _ => (false, false, false, 128),
    }
}

impl Packed {
    /// Bytes in memory.
    pub fn bytes(encoding: Encoding, rows: usize, columns: usize) -> u64 {
        let (four, full, least, _) = form(encoding);
        let quants = if four { BLOCK / 2 } else { BLOCK };
        let scales = if full { 4 } else { 2 } * if least { 2 } else { 1 };
        (rows.next_multiple_of(PANEL) as u64) * (columns.div_ceil(BLOCK) * (quants + scales)) as u64
    }

    /// Pack a matrix whose rows are whole blocks of 32 columns.
    pub fn new(encoding: Encoding, rows: usize, columns: usize, bytes: &[u8]) -> Self {
        assert!(columns.is_multiple_of(BLOCK), "rows end inside a block");
        let (four, full, has_least, offset) = form(encoding);
        let blocks = columns / BLOCK;
        let panels = rows.div_ceil(PANEL);
        let per_block = if four { 4 } else { 8 };
        let mut lines = vec![Line([0; 64]); panels * blocks * per_block];
        let groups = |wanted: bool| match (wanted, full) {
            (false, _) => Scales::Half(Vec::new()),
            (true, false) => Scales::Half(vec![[0; PANEL]; panels * blocks]),
            (true, true) => Scales::Full(vec![[0.0; PANEL]; panels * blocks]),
        };
        let (mut scales, mut leasts) = (groups(true), groups(has_least));
        let row_bytes = columns / encoding.block_size() * encoding.block_bytes();
        let mut decoded = vec![0.0; columns];
        for (row, bytes) in bytes.chunks_exact(row_bytes).enumerate() {
            let (panel, lane) = (row / PANEL, row % PANEL);
            if !matches!(encoding, Encoding::Q4_0 | Encoding::Q4_1 | Encoding::Q4K | Encoding::Q8_0) {
                encoding.decode(bytes, &mut decoded);
            }
            for index in 0..blocks {
                let block = read_block(encoding, bytes, &decoded, index);
                let at = panel * blocks + index;
                scales.set(at, lane, block.scale);
                leasts.set(at, lane, block.least);
                for (column, quant) in block.quants.into_iter().enumerate() {
                    let (group, byte) = (column / 4, lane * 4 + column % 4);
                    if four {
                        lines[at * 4 + group % 4].0[byte] |= quant << (4 * (group / 4));
                    } else {
                        lines[at * 8 + group].0[byte] = quant;
                    }
                }
            }
        }
        Self { rows, columns, four, offset, lines, scales, leasts }
    }

    /// Blocks of a row.
    pub fn blocks(&self) -> usize {
        self.columns / BLOCK
    }

    /// One row as floats.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let (panel, lane) = (row / PANEL, row % PANEL);
        for (index, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            let at = panel * self.blocks() + index;
            let (scale, least) = (self.scales.get(at, lane), self.leasts.get(at, lane));
            for (column, out) in out.iter_mut().enumerate() {
                let (group, byte) = (column / 4, lane * 4 + column % 4);
                let quant = if self.four {
                    self.lines[at * 4 + group % 4].0[byte] >> (4 * (group / 4)) & 15
                } else {
                    self.lines[at * 8 + group].0[byte]
                };
                *out = scale * (i32::from(quant) - self.offset) as f32 + least;
            }
        }
    }
}

impl Scales {
    fn set(&mut self, at: usize, lane: usize, (half, full): (u16, f32)) {
        match self {
            Self::Half(groups) if groups.is_empty() => {}
            Self::Half(groups) => groups[at][lane] = half,
            Self::Full(groups) => groups[at][lane] = full,
        }
    }

    fn get(&self, at: usize, lane: usize) -> f32 {
        match self {
            Self::Half(groups) if groups.is_empty() => 0.0,
            Self::Half(groups) => half::f16::from_bits(groups[at][lane]).to_f32(),
            Self::Full(groups) => groups[at][lane],
        }
    }
}

fn read_block(encoding: Encoding, bytes: &[u8], decoded: &[f32], index: usize) -> Block {
    let mut quants = [0; BLOCK];
    let mut nibbles = |bytes: &[u8]| {
        for (at, byte) in bytes.iter().enumerate() {
            quants[at] = byte & 15;
            quants[at + 16] = byte >> 4;
        }
    };
    let (scale, least) = match encoding {
        Encoding::Q4_0 => {
            let block = &bytes[index * 18..][..18];
            nibbles(&block[2..]);
            ((word_at(block, 0), 0.0), (0, 0.0))
        }
        Encoding::Q4_1 => {
            let block = &bytes[index * 20..][..20];
            nibbles(&block[4..]);
            ((word_at(block, 0), 0.0), (word_at(block, 2), 0.0))
        }
        Encoding::Q4K => {
            let (block, part) = (&bytes[index / 8 * 144..][..144], index % 8);
            let (scale, least) = scale_and_least(&block[4..16], part);
            let packed = &block[16 + part / 2 * 32..][..32];
            quants.iter_mut().zip(packed).for_each(|(quant, byte)| *quant = byte >> (4 * (part % 2)) & 15);
            let (scale, least) = (half_at(block, 0) * f32::from(scale), half_at(block, 2) * f32::from(least));
            ((0, scale), (0, -least))
        }
        Encoding::Q8_0 => {
            let block = &bytes[index * 34..][..34];
            quants.iter_mut().zip(&block[2..]).for_each(|(quant, byte)| *quant = byte ^ 128);
            ((word_at(block, 0), 0.0), (0, 0.0))
        }
        _ => {
            let values = &decoded[index * BLOCK..][..BLOCK];
            let most = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            let scale = half::f16::from_f32(most / 127.0);
            let inverse = if scale.to_f32() > 0.0 { 1.0 / scale.to_f32() } else { 0.0 };
            for (quant, value) in quants.iter_mut().zip(values) {
                *quant = ((value * inverse).round().clamp(-127.0, 127.0) as i32 + 128) as u8;
            }
            ((scale.to_bits(), 0.0), (0, 0.0))
        }
    };
    Block { quants, scale, least }
}
