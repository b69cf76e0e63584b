//! Reading tensors out of a model file, each checked for its shape before its bytes are read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{Device, Tensor};

use crate::error::ModelError;
use crate::gguf::{Header, TensorEntry};
use crate::llama::{Precision, held_as};

/// A model file, open for reading its tensors.
#[derive(Debug)]
pub struct TensorFile {
    file: File,
    path: PathBuf,
    header: Header,
    precision: Precision,
}

impl TensorFile {
    /// The tensors that `header` describes in `file`.
    pub fn new(file: File, path: PathBuf, header: Header, precision: Precision) -> Self {
        Self { file, path, header, precision }
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.header.tensor(name).is_some()
    }

    /// A weight matrix of `[rows, columns]`, in the encoding that [`held_as`] says.
    ///
    /// # Errors
    /// As [`TensorFile::quantized`].
    pub fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<QMatMul, ModelError> {
        let stored = Arc::new(self.quantized(name, &[rows, columns])?);
        self.hold(&stored)
    }

    /// A matrix ready for products, in the encoding that [`held_as`] says.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where candle cannot re-encode it.
    pub fn hold(&self, stored: &Arc<QTensor>) -> Result<QMatMul, ModelError> {
        let held = held_as(stored.dtype(), self.precision);
        if held == stored.dtype() {
            return Ok(QMatMul::from_arc(stored.clone())?);
        }
        let values = stored.dequantize(&Device::Cpu)?;
        if held == GgmlDType::F32 {
            return Ok(QMatMul::Tensor(values));
        }
        Ok(QMatMul::from_qtensor(QTensor::quantize(&values, held)?)?)
    }

    /// A vector of 32-bit floats.
    ///
    /// # Errors
    /// As [`TensorFile::quantized`].
    pub fn vector(&mut self, name: &str, length: usize) -> Result<Tensor, ModelError> {
        Ok(self.quantized(name, &[length])?.dequantize(&Device::Cpu)?)
    }

    /// A tensor as it is stored.
    ///
    /// # Errors
    /// [`ModelError::BadTensor`] where it is absent or has another shape, [`ModelError::Io`] where reading fails.
    pub fn quantized(&mut self, name: &str, shape: &[usize]) -> Result<QTensor, ModelError> {
        let bad = |reason: String| ModelError::BadTensor { name: name.to_owned(), reason };
        let entry = self.header.tensor(name).ok_or_else(|| bad("it is missing".to_owned()))?;
        if entry.shape != shape {
            return Err(bad(format!("its shape is {:?}, not {shape:?}", entry.shape)));
        }
        let TensorEntry { dtype, start, bytes, .. } = *entry;
        let length = usize::try_from(bytes).map_err(|_| bad("it is too large".to_owned()))?;
        // Words, because candle views the bytes as blocks that need an alignment which a byte buffer does not promise.
        let mut words = vec![0_u64; length.div_ceil(size_of::<u64>())];
        let buffer = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..length];
        self.file
            .seek(SeekFrom::Start(start))
            .and_then(|_| self.file.read_exact(buffer))
            .map_err(|source| ModelError::Io { path: self.path.clone(), source })?;
        let storage = QStorage::from_data((&*buffer).into(), &Device::Cpu, dtype)?;
        Ok(QTensor::new(storage, shape)?)
    }
}
