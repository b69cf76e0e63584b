//! A reader that knows how much of the file is left and how much memory the header may still take.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use super::Limits;
use crate::error::ModelError;

/// What a decoded string costs beside its bytes: its own three words and the allocator's share.
const STRING_OVERHEAD_BYTES: u64 = 40;

pub(super) struct Cursor<'p, R> {
    reader: R,
    position: u64,
    file_bytes: u64,
    decoded_bytes: u64,
    limits: Limits,
    path: &'p Path,
}

impl<'p, R: Read + Seek> Cursor<'p, R> {
    pub(super) fn new(reader: R, file_bytes: u64, path: &'p Path, limits: Limits) -> Self {
        Self { reader, position: 0, file_bytes, decoded_bytes: 0, limits, path }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn malformed(&self, reason: impl Into<String>) -> ModelError {
        ModelError::Malformed { path: self.path.to_owned(), reason: reason.into() }
    }

    fn left(&self) -> u64 {
        self.file_bytes.saturating_sub(self.position)
    }

    /// Refuse to go past the end before anything is allocated for what would be read.
    fn advance(&mut self, bytes: u64) -> Result<(), ModelError> {
        if bytes > self.left() {
            return Err(self.malformed(format!("it ends at byte {}, inside its header", self.file_bytes)));
        }
        self.position += bytes;
        Ok(())
    }

    /// Count memory against the header's budget.
    pub(super) fn charge(&mut self, bytes: u64) -> Result<(), ModelError> {
        self.decoded_bytes = self.decoded_bytes.saturating_add(bytes);
        if self.decoded_bytes > self.limits.decoded_bytes_max {
            let limit = self.limits.decoded_bytes_max;
            return Err(self.malformed(format!("its metadata takes more than {limit} bytes")));
        }
        Ok(())
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], ModelError> {
        self.advance(N as u64)?;
        let mut buffer = [0; N];
        self.reader
            .read_exact(&mut buffer)
            .map_err(|source| ModelError::Io { path: PathBuf::from(self.path), source })?;
        Ok(buffer)
    }

    pub(super) fn u32(&mut self) -> Result<u32, ModelError> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, ModelError> {
        self.bytes().map(u64::from_le_bytes)
    }

    /// A count of things, refused above `max`.
    pub(super) fn count(&mut self, of: &str, max: u64) -> Result<u64, ModelError> {
        let count = self.u64()?;
        if count > max {
            return Err(self.malformed(format!("it claims {count} {of}; at most {max} are read")));
        }
        Ok(count)
    }

    /// The length of an array whose elements take at least `element_bytes` each in the file.
    pub(super) fn array_length(&mut self, element_bytes: u64) -> Result<usize, ModelError> {
        let length = self.u64()?;
        if length.checked_mul(element_bytes).is_none_or(|bytes| bytes > self.left()) {
            return Err(
                self.malformed(format!("it claims an array of {length} elements, more than it holds"))
            );
        }
        usize::try_from(length).map_err(|_| self.malformed("it claims an array too long for this machine"))
    }

    pub(super) fn string(&mut self) -> Result<String, ModelError> {
        let max = self.limits.string_bytes_max;
        let length = self.count("bytes in a string", max)?;
        self.advance(length)?;
        self.charge(length + STRING_OVERHEAD_BYTES)?;
        let mut buffer = vec![0; length as usize];
        self.reader
            .read_exact(&mut buffer)
            .map_err(|source| ModelError::Io { path: PathBuf::from(self.path), source })?;
        String::from_utf8(buffer).map_err(|_| self.malformed("a string in it is not UTF-8"))
    }
}
