//! Variables of CTranslate2 model files.

use std::io::Cursor;
use std::path::Path;

use atelier_inference::ctranslate2::{Header, Limits};

use crate::memory::measured;
use crate::sparse::{SPARSE_BYTES, Sparse};

const PATH: &str = "fuzzed.bin";
/// What the names of a file that is far larger than what is read of it may take.
const LIMITS: Limits = Limits { variables_max: 64, aliases_max: 8, dimensions_max: 4, name_bytes_max: 64 };
/// More than all names and shapes within those limits take, with what holds them.
const LIMITED_BYTES: u64 = 64 << 10;

/// A header takes no more memory than its file's length justifies, nor than its limits allow however long the file is; and its variables
/// lie apart from each other within the file, each with the bytes that its shape and type need.
pub fn ctranslate2(bytes: &[u8]) {
    let (length, path) = (bytes.len() as u64, Path::new(PATH));
    let (whole, held) = measured(|| Header::read(Cursor::new(bytes), length, path, Limits::default()));
    assert!(held <= (8 << 10) + 100 * length, "{held} bytes for a file of {length}");
    let (sparse, held) = measured(|| Header::read(Sparse::new(bytes), SPARSE_BYTES, path, LIMITS));
    assert!(held <= LIMITED_BYTES, "{held} bytes within limits");
    for (header, length) in [(whole, length), (sparse, SPARSE_BYTES)] {
        let Ok(header) = header else { continue };
        let mut spans = Vec::new();
        for (name, variable) in header.variables() {
            assert_eq!(header.variable(name), Some(variable));
            let elements = variable
                .shape
                .iter()
                .fold(1, |product: u64, n| product.checked_mul(*n as u64).expect("it fits"));
            assert_eq!(elements.checked_mul(variable.dtype.bytes()), Some(variable.bytes));
            spans.push((variable.start, variable.bytes));
        }
        spans.sort_unstable();
        let end = spans.into_iter().fold(0, |at, (start, bytes)| {
            assert!(at <= start, "an overlap");
            start + bytes
        });
        assert!(end <= length, "past the file's end");
    }
}
