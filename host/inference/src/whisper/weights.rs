//! Layers out of a CTranslate2 file, by the names that its converter gives.

use crate::ctranslate2::VariableReader;
use crate::error::ModelError;
use crate::kernels::{Kernels, Stored};
use crate::layers::{Linear, Norm, matrix};
use crate::llama::Precision;

/// What Whisper's norms add to the variance (PyTorch's default).
const NORM_EPSILON: f32 = 1e-5;

/// A file whose variables become layers; each is checked for its shape before it is read.
pub(super) struct Weights<'f, K> {
    pub(super) kernels: &'f K,
    pub(super) file: &'f mut VariableReader,
}

impl<K: Kernels> Weights<'_, K> {
    pub(super) fn matrix(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<K::Matrix, ModelError> {
        let (encoding, bytes) = self.file.stored(name, rows, columns)?;
        self.kernels.matrix(Stored { encoding, rows, columns, bytes: &bytes }, Precision::Exact)
    }

    pub(super) fn rows(&mut self, name: &str, rows: usize, width: usize) -> Result<K::Tensor, ModelError> {
        let values = self.file.floats(name, &[rows, width])?;
        self.kernels.upload(width, &values)
    }

    fn row(&mut self, name: &str, width: usize) -> Result<K::Tensor, ModelError> {
        let values = self.file.floats(name, &[width])?;
        self.kernels.upload(width, &values)
    }

    pub(super) fn linear(
        &mut self,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<Linear<K>, ModelError> {
        let [linear] = self.stacked(name, outputs, inputs)?;
        Ok(linear)
    }

    /// `N` layers of `outputs` each that the file has one above the other.
    pub(super) fn stacked<const N: usize>(
        &mut self,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<[Linear<K>; N], ModelError> {
        let (encoding, weights) = self.file.stored(&format!("{name}/weight"), N * outputs, inputs)?;
        let biases = self.file.floats(&format!("{name}/bias"), &[N * outputs])?;
        let parts = weights.chunks_exact(weights.len() / N.max(1)).zip(biases.chunks_exact(outputs));
        let layers = parts
            .map(|(bytes, bias)| {
                let stored = Stored { encoding, rows: outputs, columns: inputs, bytes };
                let weight = self.kernels.matrix(stored, Precision::Exact)?;
                Ok(Linear { weight, bias: self.kernels.upload(outputs, bias)? })
            })
            .collect::<Result<Vec<_>, ModelError>>()?;
        layers
            .try_into()
            .map_err(|_| ModelError::BadTensor { name: name.to_owned(), reason: "it is empty".to_owned() })
    }

    pub(super) fn norm(&mut self, name: &str, width: usize) -> Result<Norm<K>, ModelError> {
        Ok(Norm {
            scale: self.row(&format!("{name}/gamma"), width)?,
            shift: self.row(&format!("{name}/beta"), width)?,
            epsilon: NORM_EPSILON,
        })
    }

    /// A convolution along time, its taps outside its channels as kernels want them.
    pub(super) fn convolution(
        &mut self,
        name: &str,
        outputs: usize,
        inputs: usize,
        taps: usize,
    ) -> Result<Linear<K>, ModelError> {
        let values = self.file.floats(&format!("{name}/weight"), &[outputs, inputs, taps])?;
        let mut turned = vec![0.0; values.len()];
        for (values, turned) in values.chunks_exact(inputs * taps).zip(turned.chunks_exact_mut(inputs * taps))
        {
            for (input, values) in values.chunks_exact(taps).enumerate() {
                for (tap, value) in values.iter().enumerate() {
                    turned[tap * inputs + input] = *value;
                }
            }
        }
        let bias = self.row(&format!("{name}/bias"), outputs)?;
        Ok(Linear { weight: matrix(self.kernels, &turned, outputs, taps * inputs)?, bias })
    }
}
