//! A small file beside fetched weights saying that they were verified, so that a start need not read them through.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::io_error;
use crate::error::FetchError;

/// Longer than any stamp; a larger file is not one.
const STAMP_BYTES_MAX: u64 = 4096;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    sha256: String,
    bytes: u64,
    /// Modification time of the weights when they were verified, nanoseconds since 1970.
    modified_ns: u128,
}

fn stamp_path(path: &Path) -> PathBuf {
    path.with_added_extension("verified")
}

fn stamp_for(path: &Path, sha256: &str) -> std::io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    let modified_ns = metadata.modified()?.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_nanos());
    Ok(Stamp { sha256: sha256.to_owned(), bytes: metadata.len(), modified_ns })
}

/// Whether the file still has the length and time that it had when it was verified to have this SHA-256.
pub(super) fn matches(path: &Path, sha256: &str) -> bool {
    let Ok(now) = stamp_for(path, sha256) else { return false };
    let stamp = stamp_path(path);
    if fs::metadata(&stamp).map_or(true, |meta| meta.len() > STAMP_BYTES_MAX) {
        return false;
    }
    // An unreadable stamp is a missing one: the weights are then verified in full.
    fs::read(&stamp).ok().and_then(|text| serde_json::from_slice::<Stamp>(&text).ok()) == Some(now)
}

/// Record that the file at `path` was verified just now to have this SHA-256.
pub(super) fn write(path: &Path, sha256: &str) -> Result<(), FetchError> {
    let stamp = stamp_for(path, sha256).map_err(io_error("reading", path))?;
    let target = stamp_path(path);
    let staged = path.with_added_extension("stamp");
    let text = serde_json::to_vec(&stamp)
        .map_err(|error| io_error("writing", &staged)(std::io::Error::other(error)))?;
    fs::write(&staged, text).map_err(io_error("writing", &staged))?;
    fs::rename(&staged, &target).map_err(io_error("moving into place", &target))
}
