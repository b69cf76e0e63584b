//! Products of a few rows with a matrix that lies in panels of 16 columns.
#![allow(
    unsafe_code,
    reason = "vector loads and stores, and functions for instructions that detection found"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

#[cfg(target_arch = "x86_64")]
use super::isa::Level;
use super::isa::{Isa, fma, versions};

/// Columns of a panel.
pub const LANES: usize = 16;
/// Rows that share each look at a panel: with four panels, their sums fill 24 of 32 wide registers.
pub const ROWS: usize = 6;

/// Lanes in memory, each on a line of its own of the processor's cache: one that lies across two is loaded at half the speed.
#[derive(Debug)]
pub struct Lines {
    values: Vec<f32>,
    /// The first number at the beginning of a line.
    start: usize,
    count: usize,
}

impl Lines {
    /// Zeros.
    pub fn new(count: usize) -> Self {
        let values = vec![0.0; (count + 1) * LANES];
        // Where nothing is said of alignment, lanes lie across lines and are right all the same.
        let start =
            Some(values.as_ptr().align_offset(size_of::<[f32; LANES]>())).filter(|start| *start < LANES);
        Self { values, start: start.unwrap_or(0), count }
    }

    pub fn lanes(&self) -> &[[f32; LANES]] {
        &self.values[self.start..].as_chunks().0[..self.count]
    }

    pub fn lanes_mut(&mut self) -> &mut [[f32; LANES]] {
        &mut self.values[self.start..].as_chunks_mut().0[..self.count]
    }
}

/// `out = rows · matrix`: `rows` has `count` rows, [`ROWS`] at most, one each `stride`, of `inputs` numbers; `panels` has for each 16 columns
/// of the matrix `inputs` rows behind one another; `out` has for each row all panels' columns.
pub fn product(
    isa: Isa,
    (rows, count): (&[f32], usize),
    stride: usize,
    panels: &[[f32; LANES]],
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
    panels: &[[f32; LANES]],
    inputs: usize,
    out: &mut [[f32; LANES]],
) {
    let blocks = panels.len() / inputs;
    assert!(rows.len() >= (R - 1) * stride + inputs && inputs <= stride, "product: shapes");
    assert!(panels.len() == blocks * inputs && out.len() == R * blocks, "product: shapes");
    #[cfg(target_arch = "x86_64")]
    if isa.level() == Level::Avx512Vnni {
        let mut first = 0;
        while first < blocks {
            // SAFETY: an `Isa` of this level exists only where the processor has the feature; shapes are checked above.
            unsafe {
                match blocks - first {
                    1 => wide::<R, 1>(rows, stride, panels, inputs, first, out),
                    2 => wide::<R, 2>(rows, stride, panels, inputs, first, out),
                    3 => wide::<R, 3>(rows, stride, panels, inputs, first, out),
                    _ => wide::<R, 4>(rows, stride, panels, inputs, first, out),
                }
            }
            first += 4;
        }
        return;
    }
    narrow::<R>(isa, rows, stride, panels, inputs, out);
}

/// Columns of `P` panels, from panel `first` on, for `R` rows.
///
/// # Safety
/// `rows` has `R` rows of `inputs` numbers; `panels` has `first + P` panels of `inputs` rows, and `out` as many columns of 16
/// for each row.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,fma,avx2")]
unsafe fn wide<const R: usize, const P: usize>(
    rows: &[f32],
    stride: usize,
    panels: &[[f32; LANES]],
    inputs: usize,
    first: usize,
    out: &mut [[f32; LANES]],
) {
    let blocks = panels.len() / inputs;
    let mut sums = [[_mm512_setzero_ps(); P]; R];
    let starts: [*const f32; R] = std::array::from_fn(|row| rows[row * stride..].as_ptr());
    let matrix: [*const [f32; LANES]; P] =
        std::array::from_fn(|panel| panels[(first + panel) * inputs..].as_ptr());
    for at in 0..inputs {
        let mut panels = [_mm512_setzero_ps(); P];
        for (lanes, matrix) in panels.iter_mut().zip(matrix) {
            // SAFETY: `at` is below the length of every row and panel.
            *lanes = unsafe { _mm512_loadu_ps(matrix.add(at).cast()) };
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
