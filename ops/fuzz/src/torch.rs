//! PyTorch's pickles.

use std::path::Path;

use atelier_inference::torch::{Limits, StateDict};

use crate::memory::measured;

/// A pickle takes no more memory than its length justifies, and every tensor that it names lies within its storage.
pub fn torch(bytes: &[u8]) {
    let limits = Limits::default();
    let (found, held) = measured(|| StateDict::read(bytes, Path::new("fuzzed"), limits));
    // Entries that are named again and again through dictionaries that are shared are bounded by their count alone.
    let entries = limits.entries_max as u64 * 1024;
    assert!(held <= entries + 400 * bytes.len() as u64, "{held} bytes for a pickle of {}", bytes.len());
    let Ok(found) = found else { return };
    assert!(found.tensors.len() <= limits.entries_max);
    for (name, tensor) in found.tensors {
        assert!(name.len() <= limits.name_bytes_max && tensor.shape.len() <= limits.dimensions_max);
        assert!(tensor.storage.bytes().all(|byte| byte.is_ascii_digit()), "a key that is a path");
        let count = tensor.shape.iter().try_fold(1_u64, |count, size| count.checked_mul(*size as u64));
        assert_eq!(count, Some(tensor.count));
        assert!(tensor.offset + tensor.count <= tensor.storage_count);
    }
}
