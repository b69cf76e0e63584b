//! Layers that several model families are made of.

use crate::error::ModelError;
use crate::gguf::Encoding;
use crate::kernels::{Kernels, Stored};
use crate::llama::Precision;

/// `x · weightᵀ + bias`.
#[derive(Debug)]
pub(crate) struct Linear<K: Kernels> {
    /// `[outputs, inputs]`.
    pub(crate) weight: K::Matrix,
    /// One row of `outputs` numbers.
    pub(crate) bias: K::Tensor,
}

impl<K: Kernels> Linear<K> {
    pub(crate) fn apply(&self, kernels: &K, x: &K::Tensor, out: &mut K::Tensor) {
        kernels.linear(x, &mut [(&self.weight, &mut *out)]);
        kernels.add_bias(out, &self.bias);
    }
}

/// Each row to mean 0 and variance 1, then scaled and shifted.
#[derive(Debug)]
pub(crate) struct Norm<K: Kernels> {
    pub(crate) scale: K::Tensor,
    pub(crate) shift: K::Tensor,
    /// What is added to the variance.
    pub(crate) epsilon: f32,
}

impl<K: Kernels> Norm<K> {
    pub(crate) fn apply(&self, kernels: &K, x: &K::Tensor, out: &mut K::Tensor) {
        kernels.layer_norm(x, &self.scale, &self.shift, self.epsilon, out);
    }
}

/// A weight matrix of `[rows, columns]` from 32-bit floats.
pub(crate) fn matrix<K: Kernels>(
    kernels: &K,
    values: &[f32],
    rows: usize,
    columns: usize,
) -> Result<K::Matrix, ModelError> {
    // The machines that this is built for are little-endian, as the encoding is.
    let bytes = bytemuck::cast_slice(values);
    kernels.matrix(Stored { encoding: Encoding::F32, rows, columns, bytes }, Precision::Exact)
}
