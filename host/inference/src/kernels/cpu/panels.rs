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

/// `out = rows · matrix`: `rows` has [`ROWS`] rows, one each `stride`, of `inputs` numbers; `panels` has for each 16 columns of the matrix
/// `inputs` rows behind one another; `out` has for each row all panels' columns.
pub fn product(
    isa: Isa,
    rows: &[f32],
    stride: usize,
    panels: &[[f32; LANES]],
    inputs: usize,
    out: &mut [[f32; LANES]],
) {
    let blocks = panels.len() / inputs;
    assert!(rows.len() >= ROWS * stride && inputs <= stride, "product: shapes");
    assert!(panels.len() == blocks * inputs && out.len() == ROWS * blocks, "product: shapes");
    #[cfg(target_arch = "x86_64")]
    if isa.level() == Level::Avx512Vnni {
        let mut first = 0;
        while first < blocks {
            // SAFETY: an `Isa` of this level exists only where the processor has the feature; shapes are checked above.
            unsafe {
                match blocks - first {
                    1 => wide::<1>(rows, stride, panels, inputs, first, out),
                    2 => wide::<2>(rows, stride, panels, inputs, first, out),
                    3 => wide::<3>(rows, stride, panels, inputs, first, out),
                    _ => wide::<4>(rows, stride, panels, inputs, first, out),
                }
            }
            first += 4;
        }
        return;
    }
    narrow(isa, rows, stride, panels, inputs, out);
}

/// Columns of `P` panels, from panel `first` on.
///
/// # Safety
/// `rows` has [`ROWS`] strides, each of at least `inputs`; `panels` has `first + P` panels of `inputs` rows, and `out` as many columns of 16
/// for each row.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,fma,avx2")]
unsafe fn wide<const P: usize>(
    rows: &[f32],
    stride: usize,
    panels: &[[f32; LANES]],
    inputs: usize,
    first: usize,
    out: &mut [[f32; LANES]],
) {
    let blocks = panels.len() / inputs;
    let mut sums = [[_mm512_setzero_ps(); P]; ROWS];
    let starts: [*const f32; ROWS] = std::array::from_fn(|row| rows[row * stride..].as_ptr());
    let matrix: [*const [f32; LANES]; P] =
        std::array::from_fn(|panel| panels[(first + panel) * inputs..].as_ptr());
    for at in 0..inputs {
        // SAFETY: `at` is below the length of every row and panel.
        let panels: [_; P] =
            std::array::from_fn(|panel| unsafe { _mm512_loadu_ps(matrix[panel].add(at).cast()) });
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

versions!(
    /// The same with any instructions.
    fn narrow(rows: &[f32], stride: usize, panels: &[[f32; LANES]], inputs: usize, out: &mut [[f32; LANES]]) = narrow_body
);

#[inline(always)]
fn narrow_body<const FUSED: bool>(
    rows: &[f32],
    stride: usize,
    panels: &[[f32; LANES]],
    inputs: usize,
    out: &mut [[f32; LANES]],
) {
    /// Their sums fill 12 of 16 registers of 8 numbers.
    const SHARED: usize = 6;
    const HALF: usize = LANES / 2;
    let blocks = panels.len() / inputs;
    for (block, panel) in panels.chunks_exact(inputs).enumerate() {
        let rows: [&[f32]; SHARED] = std::array::from_fn(|row| &rows[row * stride..][..inputs]);
        let mut sums = [[[0.0_f32; HALF]; 2]; SHARED];
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
        for (row, sums) in sums.iter().enumerate() {
            out[row * blocks + block].copy_from_slice(sums.as_flattened());
        }
    }
}
