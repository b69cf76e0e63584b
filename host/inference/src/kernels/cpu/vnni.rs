//! Products with packed matrices by `vpdpbusd`: four products of 8-bit integers and their sum in each of 16 lanes.
#![allow(unsafe_code, reason = "vector loads, and functions for instructions that detection found")]

use std::arch::x86_64::{
    __m512, __m512i, _mm256_loadu_si256, _mm512_add_epi32, _mm512_and_si512, _mm512_cvtepi32_ps,
    _mm512_cvtph_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_load_si512, _mm512_loadu_ps, _mm512_mul_ps,
    _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512,
    _mm512_srli_epi16, _mm512_storeu_ps,
};

use super::isa::{Isa, Level};
use super::packed::{Line, PANEL};
use super::quantised::{Panel, Quantised, Row};

/// Rows that share a panel's unpacked quants: what the registers hold.
const TILE: usize = 8;

/// A panel's scales as a register.
trait Load: Copy {
    fn load(&self) -> __m512;
}

impl Load for [u16; PANEL] {
    #[inline(always)]
    fn load(&self) -> __m512 {
        // SAFETY: 32 readable bytes; reached only from functions that have the features (`panel_half`).
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(self.as_ptr().cast())) }
    }
}

impl Load for [f32; PANEL] {
    #[inline(always)]
    fn load(&self) -> __m512 {
        // SAFETY: 64 readable bytes; reached only from functions that have the features (`panel_full`).
        unsafe { _mm512_loadu_ps(self.as_ptr()) }
    }
}

/// As [`super::quantised::product`], for scales as halves.
pub fn panel_half(
    isa: Isa,
    four: bool,
    panel: Panel<'_, [u16; PANEL]>,
    x: &Quantised,
    out: &mut dyn FnMut(usize, &[f32; PANEL]),
) {
    assert_eq!(isa.level(), Level::Avx512Vnni, "for that instruction set alone");
    // SAFETY: an `Isa` of this level exists only where the processor has these features.
    match four {
        true => unsafe { rows::<true, _>(panel, x, out) },
        false => unsafe { rows::<false, _>(panel, x, out) },
    }
}

/// As [`super::quantised::product`], for scales as floats.
pub fn panel_full(
    isa: Isa,
    four: bool,
    panel: Panel<'_, [f32; PANEL]>,
    x: &Quantised,
    out: &mut dyn FnMut(usize, &[f32; PANEL]),
) {
    assert_eq!(isa.level(), Level::Avx512Vnni, "for that instruction set alone");
    // SAFETY: as above.
    match four {
        true => unsafe { rows::<true, _>(panel, x, out) },
        false => unsafe { rows::<false, _>(panel, x, out) },
    }
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn rows<const FOUR: bool, S: Load>(
    panel: Panel<'_, S>,
    x: &Quantised,
    out: &mut dyn FnMut(usize, &[f32; PANEL]),
) {
    let count = x.scales.len() / x.blocks.max(1);
    let mut row = 0;
    while row < count {
        let left = count - row;
        row += match left {
            TILE.. => tile::<TILE, FOUR, S>(panel, x, row, out),
            4.. => tile::<4, FOUR, S>(panel, x, row, out),
            2.. => tile::<2, FOUR, S>(panel, x, row, out),
            _ => tile::<1, FOUR, S>(panel, x, row, out),
        };
    }
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
fn tile<const ROWS: usize, const FOUR: bool, S: Load>(
    panel: Panel<'_, S>,
    x: &Quantised,
    first: usize,
    out: &mut dyn FnMut(usize, &[f32; PANEL]),
) -> usize {
    let rows: [Row<'_>; ROWS] = std::array::from_fn(|row| x.row(first + row));
    let mut totals = [_mm512_setzero_ps(); ROWS];
    let nibble = _mm512_set1_epi8(15);
    let has_least = !panel.leasts.is_empty();
    let per_block = if FOUR { 4 } else { 8 };
    for (block, lines) in panel.lines.chunks_exact(per_block).enumerate() {
        let mut groups = [_mm512_setzero_si512(); 8];
        for group in 0..per_block {
            groups[group] = load(&lines[group]);
        }
        if FOUR {
            for group in 0..4 {
                groups[group + 4] = _mm512_and_si512(_mm512_srli_epi16::<4>(groups[group]), nibble);
                groups[group] = _mm512_and_si512(groups[group], nibble);
            }
        }
        let weights = panel.scales[block].load();
        let leasts = if has_least { panel.leasts[block].load() } else { _mm512_setzero_ps() };
        for row in 0..ROWS {
            let words = &rows[row].quants[block];
            let (scale, sum) = (rows[row].scales[block], rows[row].sums[block]);
            // Two chains: the second need not wait for the first.
            let mut low = _mm512_set1_epi32(-panel.offset * sum);
            let mut high = _mm512_setzero_si512();
            for group in 0..4 {
                low = _mm512_dpbusd_epi32(low, groups[group], _mm512_set1_epi32(words[group]));
                high = _mm512_dpbusd_epi32(high, groups[group + 4], _mm512_set1_epi32(words[group + 4]));
            }
            let sums = _mm512_cvtepi32_ps(_mm512_add_epi32(low, high));
            let scales = _mm512_mul_ps(weights, _mm512_set1_ps(scale));
            totals[row] = _mm512_fmadd_ps(sums, scales, totals[row]);
            if has_least {
                totals[row] = _mm512_fmadd_ps(leasts, _mm512_set1_ps(scale * sum as f32), totals[row]);
            }
        }
    }
    for (row, total) in totals.into_iter().enumerate() {
        let mut lanes = [0.0; PANEL];
        // SAFETY: 64 writable bytes.
        unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), total) };
        out(first + row, &lanes);
    }
    ROWS
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(line: &Line) -> __m512i {
    // SAFETY: a line is 64 readable bytes, aligned to 64.
    unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
}
