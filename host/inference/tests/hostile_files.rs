//! Damaged and hostile model files are refused: with an error, without a panic, within bounded memory.

#[path = "support/gguf_file.rs"]
mod gguf_file;

use std::io::Cursor;
use std::path::Path;

use atelier_inference::gguf::{Header, Limits};
use atelier_inference::{ModelError, Precision, TextModel};

fn read(bytes: &[u8]) -> Result<Header, ModelError> {
    Header::read(Cursor::new(bytes), bytes.len() as u64, Path::new("test.gguf"), Limits::default())
}

fn load(bytes: &[u8]) -> Result<TextModel, ModelError> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("the file can be written");
    TextModel::load(file.path())
}

/// Replace the eight bytes after the first occurrence of `after`, moved on by `skip`.
fn with_u64(mut bytes: Vec<u8>, after: &str, skip: usize, value: u64) -> Vec<u8> {
    let at = bytes.windows(after.len()).position(|part| part == after.as_bytes()).expect("the key is there");
    let at = at + after.len() + skip;
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    bytes
}

#[test]
fn a_whole_file_loads_and_says_what_it_is() {
    let (bytes, _) = gguf_file::tiny_llama();
    let model = load(&bytes).expect("the file is whole");
    assert_eq!(model.info().name, "tiny");
    assert_eq!(model.info().context_tokens, 256);
    assert_eq!(model.info().parameters, 258 * 64 + 2 * (7 * 64 * 64 + 2 * 64) + 64);
}

#[test]
fn a_header_cut_short_anywhere_is_an_error() {
    let (bytes, header) = gguf_file::tiny_llama();
    for length in 0..header {
        assert!(read(&bytes[..length]).is_err(), "a header cut to {length} of {header} bytes was accepted");
    }
}

#[test]
fn a_file_that_ends_inside_its_tensors_is_an_error() {
    let (bytes, header) = gguf_file::tiny_llama();
    for length in (header..bytes.len()).step_by(4093).chain([bytes.len() - 1]) {
        assert!(read(&bytes[..length]).is_err(), "a file cut to {length} bytes was accepted");
    }
}

#[test]
fn flipped_bytes_in_the_header_never_panic() {
    let (bytes, header) = gguf_file::tiny_llama();
    for at in 0..header {
        for flip in [0x01, 0x80, 0xFF] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            // Some flips leave a valid header, such as one in a name. What must not happen is a panic.
            if read(&damaged).is_ok() && flip == 0xFF && at % 7 == 0 {
                let _ = load(&damaged);
            }
        }
    }
}

#[test]
fn claimed_lengths_beyond_the_file_are_refused_without_taking_their_memory() {
    let before = peak_kib();
    let (bytes, _) = gguf_file::tiny_llama();
    for hostile in [u64::MAX, u64::MAX / 2, 1 << 40, 1 << 31] {
        let cases = [
            ("tensor count", with_u64(bytes.clone(), "GGUF", 4, hostile)),
            ("pair count", with_u64(bytes.clone(), "GGUF", 12, hostile)),
            ("string", with_u64(bytes.clone(), "general.name", 4, hostile)),
            ("text list", with_u64(bytes.clone(), "tokenizer.ggml.tokens", 8, hostile)),
            ("number list", with_u64(bytes.clone(), "tokenizer.ggml.token_type", 8, hostile)),
            ("tensor rows", with_u64(bytes.clone(), "token_embd.weight", 12, hostile)),
            ("tensor columns", with_u64(bytes.clone(), "token_embd.weight", 4, hostile & !31)),
            ("tensor start", with_u64(bytes.clone(), "token_embd.weight", 24, hostile & !31)),
        ];
        for (what, case) in cases {
            assert!(read(&case).is_err(), "{what} = {hostile} was accepted");
            assert!(load(&case).is_err(), "{what} = {hostile} was loaded");
        }
    }
    if let (Some(before), Some(after)) = (before, peak_kib()) {
        assert!(after - before < 256 * 1024, "hostile lengths took {} KiB", after - before);
    }
}

#[test]
fn a_model_larger_than_its_budget_is_refused_with_both_numbers() {
    let (bytes, _) = gguf_file::tiny_llama();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("the file can be written");
    let refused = TextModel::load_within(file.path(), Precision::Exact, None, 1000);
    assert!(matches!(refused, Err(ModelError::DoesNotFit { needed_bytes: 1001.., limit_bytes: 1000 })));
}

/// The most memory this process ever held, where the system says.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
