//! Attention of a block to its own sequence.

use super::weights::Weights;
use crate::error::ModelError;
use crate::kernels::Kernels;
use crate::layers::{Linear, Norm};

/// The weights.
#[derive(Debug)]
pub(super) struct Attention<K: Kernels> {
    norm: Norm<K>,
    query: Linear<K>,
    key: Linear<K>,
    value: Linear<K>,
    output: Linear<K>,
}

/// What rows ask and are asked for.
#[derive(Debug)]
pub(super) struct Asked<K: Kernels> {
    pub(super) query: K::Tensor,
    pub(super) key: K::Tensor,
    pub(super) value: K::Tensor,
}

impl<K: Kernels> Asked<K> {
    pub(super) fn new(kernels: &K, rows: usize, width: usize) -> Result<Self, ModelError> {
        let tensor = || kernels.tensor(rows, width);
        Ok(Self { query: tensor()?, key: tensor()?, value: tensor()? })
    }
}

impl<K: Kernels> Attention<K> {
    pub(super) fn load(weights: &mut Weights<'_, K>, name: &str, width: usize) -> Result<Self, ModelError> {
        let norm = weights.norm(&format!("{name}/layer_norm"), width)?;
        let [query, key, value] = weights.stacked(&format!("{name}/linear_0"), width, width)?;
        let output = weights.linear(&format!("{name}/linear_1"), width, width)?;
        Ok(Self { norm, query, key, value, output })
    }

    /// What the rows of `hidden` ask; `normal` is working space.
    pub(super) fn ask(&self, kernels: &K, hidden: &K::Tensor, normal: &mut K::Tensor, asked: &mut Asked<K>) {
        let Asked { query, key, value } = asked;
        self.norm.apply(kernels, hidden, normal);
        kernels.linear(
            normal,
            &mut [
                (&self.query.weight, &mut *query),
                (&self.key.weight, &mut *key),
                (&self.value.weight, &mut *value),
            ],
        );
        kernels.add_bias(query, &self.query.bias);
        kernels.add_bias(key, &self.key.bias);
        kernels.add_bias(value, &self.value.bias);
    }

    /// `hidden` plus what is made of what was `seen`; `made` is working space.
    pub(super) fn add(&self, kernels: &K, seen: &K::Tensor, made: &mut K::Tensor, hidden: &mut K::Tensor) {
        self.output.apply(kernels, seen, made);
        kernels.add(hidden, made);
    }
}
