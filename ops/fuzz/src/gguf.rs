//! Headers of model files.

use std::io::Cursor;
use std::path::Path;

use atelier_inference::gguf::{Header, Limits};
use atelier_inference::kernels::Kernels as _;
use atelier_inference::kernels::cpu::Cpu;
use atelier_inference::llama::Shape;
use atelier_inference::{Precision, Tokenizer};

use crate::memory::measured;
use crate::sparse::{SPARSE_BYTES, Sparse};

const PATH: &str = "fuzzed.gguf";
/// What a header may take in a file that is far larger than what is read of it.
const LIMITS: Limits =
    Limits { pairs_max: 64, tensors_max: 64, string_bytes_max: 4 << 10, decoded_bytes_max: 64 << 10 };

/// A header takes no more memory than its file's length justifies, nor than its limits allow however long the file is; and what is made
/// of it is made or refused.
pub fn gguf(bytes: &[u8]) {
    let (length, path) = (bytes.len() as u64, Path::new(PATH));
    let (whole, held) = measured(|| Header::read(Cursor::new(bytes), length, path, Limits::default()));
    assert!(held <= (8 << 10) + 40 * length, "{held} bytes for a file of {length}");
    let sparse = Sparse::new(bytes);
    let (sparse, held) = measured(|| Header::read(sparse, SPARSE_BYTES, path, LIMITS));
    let bound = 16 * LIMITS.decoded_bytes_max;
    assert!(held <= bound, "{held} bytes for a header of {}", LIMITS.decoded_bytes_max);
    for header in [whole, sparse].into_iter().flatten() {
        assert!(header.parameters() <= 4 * SPARSE_BYTES, "none takes less than two bits");
        let tokens = Tokenizer::from_gguf(&header).map_or(1, |tokenizer| tokenizer.vocabulary_len());
        if let Ok(shape) = Shape::from_gguf(&header, tokens, Precision::Fast) {
            assert!(Cpu::page_bytes(shape.page()) > 0 && shape.rotation_bytes() > 0);
        }
    }
}
