//! Reading tensors out of a model file, each checked for its shape before its bytes are read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use crate::error::ModelError;
use crate::gguf::{Encoding, Header};
use crate::kernels::{Kernels, Stored};
use crate::llama::Precision;

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
        let mut bytes = vec![0_u8; length];
        self.file
            .seek(SeekFrom::Start(entry.start))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|source| ModelError::Io { path: self.path.clone(), source })?;
        Ok((entry.encoding, bytes))
    }
}
