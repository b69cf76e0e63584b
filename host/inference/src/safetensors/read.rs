//! Tensors out of a file, each checked for its shape before its bytes are read.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{Dtype, Header, Limits, TensorEntry};
use crate::error::ModelError;

/// Bytes that are converted at a time.
const CHUNK_BYTES: usize = 1 << 16;

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
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(io(std::io::Error::other("not a regular file")));
        }
        let header = Header::read(BufReader::new(&file), metadata.len(), path, limits)?;
        Ok(Self { file, path: path.to_owned(), header })
    }

    /// What the file holds.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The place of a tensor that must have this shape.
    ///
    /// # Errors
    /// [`ModelError::BadTensor`] where it is absent or has another shape.
    pub fn expect(&self, name: &str, shape: &[usize]) -> Result<&TensorEntry, ModelError> {
        let bad = |reason: String| ModelError::BadTensor { name: name.to_owned(), reason };
        let entry = self.header.tensor(name).ok_or_else(|| bad("it is missing".to_owned()))?;
        if entry.shape != shape {
            return Err(bad(format!("its shape is {:?}, not {shape:?}", entry.shape)));
        }
        match entry.dtype {
            Dtype::F32 | Dtype::F16 | Dtype::BF16 => Ok(entry),
            other => Err(bad(format!("it is stored as {other:?}, not as F32, F16 or BF16"))),
        }
    }

    /// A tensor's elements in order, as 32-bit floats. F16 and BF16 convert exactly.
    ///
    /// # Errors
    /// As [`TensorReader::expect`]; [`ModelError::Io`] where reading fails.
    pub fn floats(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let TensorEntry { dtype, start, bytes, .. } = *self.expect(name, shape)?;
        let io = |source| ModelError::Io { path: self.path.clone(), source };
        let mut values: Vec<f32> = Vec::with_capacity((bytes / dtype.bytes()) as usize);
        let mut left = bytes as usize;
        self.file.seek(SeekFrom::Start(start)).map_err(io)?;
        let mut chunk = vec![0; CHUNK_BYTES.min(left)];
        while left > 0 {
            let length = CHUNK_BYTES.min(left); // a multiple of every element's length, as `left` is
            let chunk = &mut chunk[..length];
            self.file.read_exact(chunk).map_err(io)?;
            match dtype {
                Dtype::F16 => {
                    values.extend(chunk.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()))
                }
                Dtype::BF16 => {
                    values.extend(chunk.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()))
                }
                _ => values.extend(chunk.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
            }
            left -= length;
        }
        Ok(values)
    }
}
