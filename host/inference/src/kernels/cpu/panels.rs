//! Products of a few rows with a matrix that lies in panels of 16 columns.
#![allow(
    unsafe_code,
    reason = "vector loads and stores, and functions for instructions that detection found"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m512, _mm256_loadu_si256, _mm512_castsi512_ps, _mm512_cvtepu16_epi32, _mm512_cvtph_ps, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_slli_epi32, _mm512_storeu_ps,
};

#[cfg(target_arch = "x86_64")]
use super::isa::Level;
use super::isa::{Isa, fma, versions};

/// Columns of a panel.
pub const LANES: usize = 16;
/// Rows that share each look at a panel: with four panels, their sums fill 24 of 32 wide registers.
pub const ROWS: usize = 6;

/// Bytes of a line of the processor's cache.
const LINE_BYTES: usize = 64;

/// Lanes in memory, each on one line of the processor's cache: what lies across two is loaded at half the speed.
#[derive(Debug)]
pub struct Lines<T = f32> {
    values: Vec<T>,
    /// The first number at the beginning of a line.
    start: usize,
    count: usize,
}

impl<T: Copy + Default> Lines<T> {
    /// Zeros.
    pub fn new(count: usize) -> Self {
        let spare = LINE_BYTES / size_of::<T>();
        let values = vec![T::default(); count * LANES + spare];
        // Where nothing is said of alignment, lanes lie across lines and are right all the same.
        let start = Some(values.as_ptr().align_offset(LINE_BYTES)).filter(|start| *start <= spare);
        Self { values, start: start.unwrap_or(0), count }
    }

    pub fn lanes(&self) -> &[[T; LANES]] {
        &self.values[self.start..].as_chunks().0[..self.count]
    }

    pub fn lanes_mut(&mut self) -> &mut [[T; LANES]] {
        &mut self.values[self.start..].as_chunks_mut().0[..self.count]
    }
}

/// Panels as they lie in memory.
#[derive(Clone, Copy, Debug)]
pub enum Panels<'a> {
    /// 32-bit floats.
    Full(&'a [[f32; LANES]]),
    /// IEEE 754's 16-bit floats.
    Half(&'a [[u16; LANES]]),
    /// The upper halves of 32-bit floats.
    Upper(&'a [[u16; LANES]]),
}

impl Panels<'_> {
    fn len(self) -> usize {
        match self {
            Self::Full(lanes) => lanes.len(),
            Self::Half(lanes) | Self::Upper(lanes) => lanes.len(),
        }
    }
}

/// How a panel's numbers lie in memory, as a constant of the code that reads them.
#[cfg(target_arch = "x86_64")]
pub(super) const FULL: u8 = 0;
#[cfg(target_arch = "x86_64")]
pub(super) const HALF: u8 = 1;
#[cfg(target_arch = "x86_64")]
const UPPER: u8 = 2;

/// `out = rows · matrix`: `rows` has `count` rows, [`ROWS`] at most, one each `stride`, of `inputs` numbers; `panels` has for each 16 columns
/// of the matrix `inputs` rows behind one another, in 16 bits only where [`takes_halves`]; `out` has for each row all panels' columns.
pub fn product(
    isa: Isa,
    (rows, count): (&[f32], usize),
    stride: usize,
    panels: Panels<'_>,
    inputs: usize,
    out: &mut [[f32; LANES]],
) {
    match count {
        1 => few::<1>(isa, rows, stride, panels, inputs, out),
        2 => few::<2>(isa, rows, stride, panels, inputs, out),
        3 => few::<3>(isa, rows, stride, panels, inputs, out),
        4 => few::<4>(isa, rows, stride, panels, inputs, out),
        5 => few::<5>(isa, rows, stride, panels, inputs, out),
        ROWS => few::<ROWS>(isa, rows, stride, panels, inputs, out),
        _ => unreachable!("product: {count} rows"),
    }
}

/// The same for `R` rows.
fn few<const R: usize>(
    isa: Isa,
    rows: &[f32],
    stride: usize,
    panels: Panels<'_>,
    inputs: usize,
    out: &mut [[f32; LANES]],
) {
    let blocks = panels.len() / inputs;
    assert!(rows.len() >= (R - 1) * stride + inputs && inputs <= stride, "product: shapes");
    assert!(panels.len() == blocks * inputs && out.len() == R * blocks, "product: shapes");
    #[cfg(target_arch = "x86_64")]
    if isa.level() == Level::Avx512Vnni {
        // SAFETY: an `Isa` of this level exists only where the processor has the feature; shapes are checked above.
        unsafe {
            match panels {
                Panels::Full(lanes) => wide_form::<R, FULL, f32>(rows, stride, lanes, inputs, out),
                Panels::Half(lanes) => wide_form::<R, HALF, u16>(rows, stride, lanes, inputs, out),
                Panels::Upper(lanes) => wide_form::<R, UPPER, u16>(rows, stride, lanes, inputs, out),
            }
        }
        return;
    }
    let Panels::Full(panels) = panels else { unreachable!("product: halves") };
    narrow::<R>(isa, rows, stride, panels, inputs, out);
}

/// Whether products take panels of 16-bit floats as they are.
pub fn takes_halves(isa: Isa) -> bool {
    #[cfg(target_arch = "x86_64")]
    return isa.level() == Level::Avx512Vnni;
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// All columns for `R` rows.
///
/// # Safety
/// As of [`wide`], for all panels.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,fma,avx2")]
unsafe fn wide_form<const R: usize, const FORM: u8, T>(
    rows: &[f32],
    stride: usize,
    panels: &[[T; LANES]],
    inputs: usize,
    out: &mut [[f32; LANES]],
) {
    let blocks = panels.len() / inputs;
    for first in (0..blocks).step_by(4) {
        // SAFETY: the caller's.
        unsafe {
            match blocks - first {
                1 => wide::<R, 1, FORM, T>(rows, stride, panels, inputs, first, out),
                2 => wide::<R, 2, FORM, T>(rows, stride, panels, inputs, first, out),
                3 => wide::<R, 3, FORM, T>(rows, stride, panels, inputs, first, out),
                _ => wide::<R, 4, FORM, T>(rows, stride, panels, inputs, first, out),
            }
        }
    }
}

/// 16 numbers.
///
/// # Safety
/// At `lanes` they are, of the form's length.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2")]
pub(super) unsafe fn load<const FORM: u8, T>(lanes: *const [T; LANES]) -> __m512 {
    // SAFETY: the caller's.
    unsafe {
        match FORM {
            FULL => _mm512_loadu_ps(lanes.cast()),
            HALF => _mm512_cvtph_ps(_mm256_loadu_si256(lanes.cast())),
            _ => {
                let upper = _mm512_cvtepu16_epi32(_mm256_loadu_si256(lanes.cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(upper))
            }
        }
    }
}

/// Columns of `P` panels, from panel `first` on, for `R` rows.
///
/// # Safety
/// `T` is of `FORM`; `rows` has `R` rows of `inputs` numbers; `panels` has `first + P` panels of `inputs` rows, and `out` as many columns
/// of 16 for each row.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,fma,avx2")]
unsafe fn wide<const R: usize, const P: usize, const FORM: u8, T>(
    rows: &[f32],
    stride: usize,
    panels: &[[T; LANES]],
    inputs: usize,
    first: usize,
    out: &mut [[f32; LANES]],
) {
    let blocks = panels.len() / inputs;
    let mut sums = [[_mm512_setzero_ps(); P]; R];
    let starts: [*const f32; R] = std::array::from_fn(|row| rows[row * stride..].as_ptr());
    let matrix: [*const [T; LANES]; P] =
        std::array::from_fn(|panel| panels[(first + panel) * inputs..].as_ptr());
    for at in 0..inputs {
        let mut panels = [_mm512_setzero_ps(); P];
        for (lanes, matrix) in panels.iter_mut().zip(matrix) {
            // SAFETY: `at` is below the length of every row and panel.
            *lanes = unsafe { load::<FORM, T>(matrix.add(at)) };
        }
        for (sums, start) in sums.iter_mut().zip(starts) {
            // SAFETY: as above.
            let x = _mm512_set1_ps(unsafe { *start.add(at) });
            for (sum, panel) in sums.iter_mut().zip(panels) {
                *sum = _mm512_fmadd_ps(x, panel, *sum);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (panel, sum) in sums.iter().enumerate() {
            // SAFETY: 64 writable bytes.
            unsafe { _mm512_storeu_ps(out[row * blocks + first + panel].as_mut_ptr(), *sum) };
        }
    }
}

/// The same with any instructions.
fn narrow<const R: usize>(
    isa: Isa,
    rows: &[f32],
    stride: usize,
    panels: &[[f32; LANES]],
    inputs: usize,
    out: &mut [[f32; LANES]],
) {
    let blocks = panels.len() / inputs;
    let rows: [&[f32]; R] = std::array::from_fn(|row| &rows[row * stride..][..inputs]);
    for (block, panel) in panels.chunks_exact(inputs).enumerate() {
        let mut sums = [[0.0; LANES]; R];
        narrow_panel(isa, &rows, panel, &mut sums);
        for (row, sums) in sums.iter().enumerate() {
            out[row * blocks + block] = *sums;
        }
    }
}

versions!(
    /// The columns of one panel. The sums of six rows fill 12 of 16 registers of 8 numbers.
    fn narrow_panel(rows: &[&[f32]], panel: &[[f32; LANES]], out: &mut [[f32; LANES]]) = narrow_body
);

#[inline(always)]
fn narrow_body<const FUSED: bool>(rows: &[&[f32]], panel: &[[f32; LANES]], out: &mut [[f32; LANES]]) {
    match (rows.len(), out.len()) {
        (1, 1) => narrow_rows::<FUSED, 1>(rows, panel, out),
        (2, 2) => narrow_rows::<FUSED, 2>(rows, panel, out),
        (3, 3) => narrow_rows::<FUSED, 3>(rows, panel, out),
        (4, 4) => narrow_rows::<FUSED, 4>(rows, panel, out),
        (5, 5) => narrow_rows::<FUSED, 5>(rows, panel, out),
        (ROWS, ROWS) => narrow_rows::<FUSED, ROWS>(rows, panel, out),
        (count, _) => unreachable!("product: {count} rows"),
    }
}

#[inline(always)]
fn narrow_rows<const FUSED: bool, const R: usize>(
    rows: &[&[f32]],
    panel: &[[f32; LANES]],
    out: &mut [[f32; LANES]],
) {
    const HALF: usize = LANES / 2;
    let rows: [&[f32]; R] = std::array::from_fn(|row| &rows[row][..panel.len()]);
    let mut sums = [[[0.0_f32; HALF]; 2]; R];
    for (at, panel) in panel.iter().enumerate() {
        let halves = panel.as_chunks::<HALF>().0;
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let x = row[at];
            for (sums, panel) in sums.iter_mut().zip(halves) {
                for (sum, weight) in sums.iter_mut().zip(panel) {
                    *sum = fma::<FUSED>(x, *weight, *sum);
                }
            }
        }
    }
    for (out, sums) in out.iter_mut().zip(&sums) {
        out.copy_from_slice(sums.as_flattened());
    }
}
