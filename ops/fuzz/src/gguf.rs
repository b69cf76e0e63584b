//! Headers of model files.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use atelier_inference::Tokenizer;
use atelier_inference::gguf::{Header, Limits};
use atelier_inference::llama::Shape;

use crate::memory::measured;

const PATH: &str = "fuzzed.gguf";
/// What a header may take in a file that is far larger than what is read of it.
const LIMITS: Limits =
    Limits { pairs_max: 64, tensors_max: 64, string_bytes_max: 4 << 10, decoded_bytes_max: 64 << 10 };
/// Such a file's length.
const SPARSE_BYTES: u64 = 1 << 50;

/// A header takes no more memory than its file's length justifies, nor than its limits allow however long the file is; and what is made
/// of it is made or refused.
pub fn gguf(bytes: &[u8]) {
    let (length, path) = (bytes.len() as u64, Path::new(PATH));
    let (whole, held) = measured(|| Header::read(Cursor::new(bytes), length, path, Limits::default()));
    assert!(held <= (8 << 10) + 40 * length, "{held} bytes for a file of {length}");
    let sparse = Sparse { written: bytes, position: 0 };
    let (sparse, held) = measured(|| Header::read(sparse, SPARSE_BYTES, path, LIMITS));
    let bound = 16 * LIMITS.decoded_bytes_max;
    assert!(held <= bound, "{held} bytes for a header of {}", LIMITS.decoded_bytes_max);
    for header in [whole, sparse].into_iter().flatten() {
        assert!(header.parameters() <= 4 * SPARSE_BYTES, "none takes less than two bits");
        let tokens = Tokenizer::from_gguf(&header).map_or(1, |tokenizer| tokenizer.vocabulary_len());
        if let Ok(shape) = Shape::from_gguf(&header, tokens) {
            assert!(shape.page().bytes() > 0 && shape.rotation_bytes() > 0);
        }
    }
}

/// A file with a hole at its end, which reads as zeros.
struct Sparse<'b> {
    written: &'b [u8],
    position: u64,
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
