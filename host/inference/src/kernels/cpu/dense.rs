//! Products with matrices of 32-bit floats.

use super::isa::{fma, versions};

/// Rows of the matrix that share each look at the activations.
pub const ROWS: usize = 4;

versions!(
    /// Products of up to [`ROWS`] rows of a matrix with one row of activations.
    pub fn product(weights: &[f32], x: &[f32], out: &mut [f32; ROWS]) = product_body
);

#[inline(always)]
fn product_body<const FUSED: bool>(weights: &[f32], x: &[f32], out: &mut [f32; ROWS]) {
    let width = x.len();
    let (whole, rest) = x.as_chunks::<16>();
    if weights.len() == ROWS * width {
        let rows: [&[f32]; ROWS] = std::array::from_fn(|row| &weights[row * width..(row + 1) * width]);
        let mut lanes = [[0.0_f32; 16]; ROWS];
        for (index, x) in whole.iter().enumerate() {
            for (lanes, row) in lanes.iter_mut().zip(&rows) {
                let row = &row[index * 16..index * 16 + 16];
                for ((lane, x), weight) in lanes.iter_mut().zip(x).zip(row) {
                    *lane = fma::<FUSED>(*x, *weight, *lane);
                }
            }
        }
        for ((out, lanes), row) in out.iter_mut().zip(&lanes).zip(&rows) {
            *out = lanes.iter().sum();
            for (x, weight) in rest.iter().zip(&row[whole.len() * 16..]) {
                *out = fma::<FUSED>(*x, *weight, *out);
            }
        }
        return;
    }
    for (out, row) in out.iter_mut().zip(weights.chunks_exact(width)) {
        *out = x.iter().zip(row).fold(0.0, |sum, (x, weight)| fma::<FUSED>(*x, *weight, sum));
    }
}
