//! Tensors out of a file, each checked for its shape before its bytes are read.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::{Dtype, Header, Limits, TensorEntry};
use crate::error::ModelError;
use crate::floats::{self, FloatForm};

/// A safetensors file, open for reading its tensors.
#[derive(Debug)]
pub struct TensorReader {
    file: File,
    path: PathBuf,
    header: Header,
}

impl TensorReader {
    /// Open a file and check its header.
    ///
    /// # Errors
    /// As [`Header::read`].
    pub fn open(path: &Path, limits: Limits) -> Result<Self, ModelError> {
        let io = |source| ModelError::Io { path: path.to_owned(), source };
        let (file, length) = floats::open(path).map_err(io)?;
        let header = Header::read(BufReader::new(&file), length, path, limits)?;
        Ok(Self { file, path: path.to_owned(), header })
    }

    /// What the file holds.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// A tensor's elements in order, as 32-bit floats. F16 and BF16 convert exactly.
    ///
    /// # Errors
    /// [`ModelError::BadTensor`] where it is absent, has another shape or is not of floats; [`ModelError::Io`] where reading
    /// fails.
    pub fn floats(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let bad = |reason: String| ModelError::BadTensor { name: name.to_owned(), reason };
        let entry = self.header.tensor(name).ok_or_else(|| bad("it is missing".to_owned()))?;
        if entry.shape != shape {
            return Err(bad(format!("its shape is {:?}, not {shape:?}", entry.shape)));
        }
        let form = match entry.dtype {
            Dtype::F32 => FloatForm::F32,
            Dtype::F16 => FloatForm::F16,
            Dtype::BF16 => FloatForm::BF16,
            other => return Err(bad(format!("it is stored as {other:?}, not as F32, F16 or BF16"))),
        };
        let TensorEntry { start, bytes, .. } = *entry;
        let io = |source| ModelError::Io { path: self.path.clone(), source };
        floats::read(&self.file, form, start, bytes).map_err(io)
    }
}
