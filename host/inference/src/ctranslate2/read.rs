//! Variables out of a file, each checked for its shape before its bytes are read.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{Dtype, Header, Limits, Variable};
use crate::error::ModelError;
use crate::floats::{self, FloatForm};
use crate::gguf::Encoding;

/// A CTranslate2 model file, open for reading its variables.
#[derive(Debug)]
pub struct VariableReader {
    file: File,
    path: PathBuf,
    header: Header,
}

impl VariableReader {
    /// Open a file and check what it says of itself.
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

    /// A variable's elements in order, as 32-bit floats. F16 and BF16 convert exactly.
    ///
    /// # Errors
    /// [`ModelError::BadTensor`] where it is absent, has another shape or is not of floats; [`ModelError::Io`] where reading
    /// fails.
    pub fn floats(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let Variable { dtype, start, bytes, .. } = *self.expect(name, shape)?;
        let form = match dtype {
            Dtype::F32 => FloatForm::F32,
            Dtype::F16 => FloatForm::F16,
            Dtype::BF16 => FloatForm::BF16,
            other => return Err(bad(name, format!("it is stored as {other:?}, not as F32, F16 or BF16"))),
        };
        let io = |source| ModelError::Io { path: self.path.clone(), source };
        floats::read(&self.file, form, start, bytes).map_err(io)
    }

    /// A matrix as it is stored, row by row.
    ///
    /// # Errors
    /// As [`VariableReader::floats`].
    pub(crate) fn stored(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<(Encoding, Vec<u8>), ModelError> {
        let Variable { dtype, start, bytes, .. } = *self.expect(name, &[rows, columns])?;
        let encoding = match dtype {
            Dtype::F32 => Encoding::F32,
            Dtype::F16 => Encoding::F16,
            Dtype::BF16 => Encoding::BF16,
            other => return Err(bad(name, format!("it is stored as {other:?}, not as F32, F16 or BF16"))),
        };
        let io = |source| ModelError::Io { path: self.path.clone(), source };
        let mut read = vec![0; bytes as usize];
        self.file.seek(SeekFrom::Start(start)).map_err(io)?;
        self.file.read_exact(&mut read).map_err(io)?;
        Ok((encoding, read))
    }

    /// A single whole number of 8 or 16 bits.
    ///
    /// # Errors
    /// As [`VariableReader::floats`].
    pub fn whole(&mut self, name: &str) -> Result<i16, ModelError> {
        let Variable { dtype, start, .. } = *self.expect(name, &[])?;
        let io = |source| ModelError::Io { path: self.path.clone(), source };
        self.file.seek(SeekFrom::Start(start)).map_err(io)?;
        match dtype {
            Dtype::I8 => {
                let mut bytes = [0; 1];
                self.file.read_exact(&mut bytes).map_err(io)?;
                Ok(i8::from_le_bytes(bytes).into())
            }
            Dtype::I16 => {
                let mut bytes = [0; 2];
                self.file.read_exact(&mut bytes).map_err(io)?;
                Ok(i16::from_le_bytes(bytes))
            }
            other => Err(bad(name, format!("it is stored as {other:?}, not as I8 or I16"))),
        }
    }

    fn expect(&self, name: &str, shape: &[usize]) -> Result<&Variable, ModelError> {
        let variable = self.header.variable(name).ok_or_else(|| bad(name, "it is missing".to_owned()))?;
        if variable.shape != shape {
            return Err(bad(name, format!("its shape is {:?}, not {shape:?}", variable.shape)));
        }
        Ok(variable)
    }
}

fn bad(name: &str, reason: String) -> ModelError {
    ModelError::BadTensor { name: name.to_owned(), reason }
}
