//! Headers of safetensors files.

use std::io::Cursor;
use std::path::Path;

use atelier_inference::safetensors::{Header, Limits};

use crate::memory::measured;
use crate::sparse::{SPARSE_BYTES, Sparse};

const PATH: &str = "fuzzed.safetensors";
/// What a header may take in a file that is far larger than what is read of it.
const LIMITS: Limits = Limits {
    header_bytes_max: 8 << 10,
    tensors_max: 64,
    dimensions_max: 4,
    name_bytes_max: 64,
    metadata_max: 8,
};

/// A header takes no more memory than its file's length justifies, nor than its limits allow however long the file is; and its tensors
/// lie one after another from the header's end to the file's, each with the bytes that its shape and type need.
pub fn safetensors(bytes: &[u8]) {
    let (length, path) = (bytes.len() as u64, Path::new(PATH));
    let (whole, held) = measured(|| Header::read(Cursor::new(bytes), length, path, Limits::default()));
    assert!(held <= (8 << 10) + 40 * length, "{held} bytes for a file of {length}");
    let (sparse, held) = measured(|| Header::read(Sparse::new(bytes), SPARSE_BYTES, path, LIMITS));
    let bound = 40 * LIMITS.header_bytes_max;
    assert!(held <= bound, "{held} bytes for a header of {}", LIMITS.header_bytes_max);
    for (header, length) in [(whole, length), (sparse, SPARSE_BYTES)] {
        let Ok(header) = header else { continue };
        let header_bytes = u64::from_le_bytes(bytes[..8].try_into().expect("it was read"));
        let mut spans: Vec<(u64, u64)> =
            header.tensors().map(|(_, entry)| (entry.start, entry.bytes)).collect();
        spans.sort_unstable();
        let end = spans.into_iter().fold(8 + header_bytes, |at, (start, bytes)| {
            assert_eq!(start, at, "a hole or an overlap");
            at + bytes
        });
        assert_eq!(end, length, "the data is what the tensors are");
        for (name, entry) in header.tensors() {
            assert_eq!(header.tensor(name), Some(entry));
            let elements = entry
                .shape
                .iter()
                .fold(1, |product: u64, n| product.checked_mul(*n as u64).expect("it fits"));
            assert_eq!(elements, entry.elements());
            assert_eq!(elements.checked_mul(entry.dtype.bytes()), Some(entry.bytes));
        }
    }
}
