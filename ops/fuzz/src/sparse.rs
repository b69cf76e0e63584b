//! A file that is far larger than what is written of it.

use std::io::{self, Read, Seek, SeekFrom};

/// Such a file's length.
pub(crate) const SPARSE_BYTES: u64 = 1 << 50;

/// A file with a hole at its end, which reads as zeros.
pub(crate) struct Sparse<'b> {
    written: &'b [u8],
    position: u64,
}

impl<'b> Sparse<'b> {
    pub(crate) fn new(written: &'b [u8]) -> Self {
        Self { written, position: 0 }
    }
}

impl Read for Sparse<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = SPARSE_BYTES.saturating_sub(self.position).min(buffer.len() as u64) as usize;
        for (offset, byte) in buffer[..left].iter_mut().enumerate() {
            *byte = self.written.get(self.position as usize + offset).copied().unwrap_or(0);
        }
        self.position += left as u64;
        Ok(left)
    }
}

impl Seek for Sparse<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => SPARSE_BYTES.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
