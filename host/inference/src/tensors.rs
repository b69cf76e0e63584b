//! Reading tensors out of a model file, each checked for its shape before its bytes are read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use crate::error::ModelError;
use crate::gguf::{Encoding, Header};
use crate::kernels::{Kernels, Stored};
use crate::llama::Precision;
use crate::pretrained::Shards;

/// Where tensors are read from.
#[derive(Debug)]
pub(crate) enum TensorSource {
    /// A GGUF file, and its path.
    File(File, PathBuf),
    /// A folder of safetensors.
    Shards(Shards),
}

/// A model's files, open for reading its tensors.
#[derive(Debug)]
pub struct TensorFile {
    source: TensorSource,
    header: Header,
    precision: Precision,
}

impl TensorFile {
    /// The tensors that `header` describes.
    pub(crate) fn new(source: TensorSource, header: Header, precision: Precision) -> Self {
        Self { source, header, precision }
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.header.tensor(name).is_some()
    }

    /// A weight matrix of `[rows, columns]` on the device.
    ///
    /// # Errors
    /// [`ModelError::BadTensor`] where it is absent or has another shape, [`ModelError::Io`] where reading fails.
    pub fn matrix<K: Kernels>(
        &mut self,
        kernels: &K,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<K::Matrix, ModelError> {
        let (encoding, bytes) = self.bytes(name, &[rows, columns])?;
        kernels.matrix(Stored { encoding, rows, columns, bytes: &bytes }, self.precision)
    }

    /// A vector of 32-bit floats on the device, as one row.
    ///
    /// # Errors
    /// As [`TensorFile::matrix`].
    pub fn vector<K: Kernels>(
        &mut self,
        kernels: &K,
        name: &str,
        length: usize,
    ) -> Result<K::Tensor, ModelError> {
        let values = self.values(name, length)?;
        kernels.upload(length, &values)
    }

    /// A vector of 32-bit floats, here.
    ///
    /// # Errors
    /// As [`TensorFile::matrix`].
    pub fn values(&mut self, name: &str, length: usize) -> Result<Vec<f32>, ModelError> {
        let (encoding, bytes) = self.bytes(name, &[length])?;
        let mut values = vec![0.0; length];
        encoding.decode(&bytes, &mut values);
        Ok(values)
    }

    fn bytes(&mut self, name: &str, shape: &[usize]) -> Result<(Encoding, Vec<u8>), ModelError> {
        let bad = |reason: String| ModelError::BadTensor { name: name.to_owned(), reason };
        let entry = self.header.tensor(name).ok_or_else(|| bad("it is missing".to_owned()))?;
        if entry.shape != shape {
            return Err(bad(format!("its shape is {:?}, not {shape:?}", entry.shape)));
        }
        let length = usize::try_from(entry.bytes).map_err(|_| bad("it is too large".to_owned()))?;
        let bytes = match &mut self.source {
            TensorSource::Shards(shards) => shards.read(name)?,
            TensorSource::File(file, path) => {
                let mut bytes = vec![0_u8; length];
                file.seek(SeekFrom::Start(entry.start))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(|source| ModelError::Io { path: path.clone(), source })?;
                bytes
            }
        };
        Ok((entry.encoding, bytes))
    }
}
