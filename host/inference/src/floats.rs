//! Floating-point numbers as model files store them: little-endian, one behind the other.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Bytes that are converted at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// How one number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FloatForm {
    F32,
    F16,
    BF16,
}

/// A regular file, open, and its length in bytes.
///
/// # Errors
/// The system's, and where it is no regular file.
pub(crate) fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok((file, metadata.len()))
}

/// The numbers in `bytes` bytes from `start` on, as 32-bit floats, to which all forms convert exactly. A piece of the file at a time is in
/// memory beside them. `bytes` is a multiple of a number's length.
///
/// # Errors
/// The system's, and where the file ends before.
pub(crate) fn read(mut file: &File, form: FloatForm, start: u64, bytes: u64) -> io::Result<Vec<f32>> {
    let each = if form == FloatForm::F32 { 4 } else { 2 };
    let mut values: Vec<f32> = Vec::with_capacity((bytes / each) as usize);
    let mut left = bytes as usize;
    file.seek(SeekFrom::Start(start))?;
    let mut chunk = vec![0; CHUNK_BYTES.min(left)];
    while left > 0 {
        let length = CHUNK_BYTES.min(left); // a multiple of every number's length, as `left` is
        let chunk = &mut chunk[..length];
        file.read_exact(chunk)?;
        match form {
            FloatForm::F16 => {
                values.extend(chunk.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()));
            }
            FloatForm::BF16 => {
                values.extend(chunk.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()));
            }
            FloatForm::F32 => values.extend(chunk.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
        }
        left -= length;
    }
    Ok(values)
}
