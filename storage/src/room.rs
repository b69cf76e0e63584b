//! Room on the disk, looked for before it is needed: the database's engine cannot go on after a write that failed half-way. So rows and
//! blobs are refused while a reserve is left, and taken again once there is more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use atelier_domain::disk::DiskSpace as _;

use crate::Disk;

/// What is left for what cannot be refused: commits under way, their log, the journal of live calls.
pub(crate) const ROWS_RESERVE_BYTES: u64 = 16 * 1024 * 1024;
/// Blobs leave room for rows.
pub(crate) const BLOBS_RESERVE_BYTES: u64 = 32 * 1024 * 1024;

/// How long what was seen stands, and how many bytes may be written until then.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOK_AFTER_BYTES: u64 = 1024 * 1024;

/// Watches over the room that is left where a folder lies.
#[derive(Debug)]
pub(crate) struct Room {
    folder: PathBuf,
    reserve: u64,
    seen: Mutex<Option<Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    free: u64,
    written: u64,
}

impl Room {
    pub(crate) fn new(folder: &Path, reserve: u64) -> Self {
        Self { folder: folder.to_owned(), reserve, seen: Mutex::new(None) }
    }

    /// Whether so many bytes more leave the reserve alone.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] if they do not, or the file system's own.
    pub(crate) fn check(&self, bytes: u64) -> io::Result<()> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.filter(|seen| {
            seen.at.elapsed() < LOOK_EVERY && seen.written.saturating_add(bytes) < LOOK_AFTER_BYTES
        });
        let now = match known {
            Some(known) => Seen { written: known.written + bytes, ..known },
            None => Seen { at: Instant::now(), free: Disk::of(&self.folder).free_bytes()?, written: bytes },
        };
        *seen = Some(now);
        if now.free.saturating_sub(now.written) >= self.reserve {
            return Ok(());
        }
        // Looked for anew next time, so that it goes on as soon as there is room.
        *seen = None;
        let shown = self.folder.display();
        let why = format!(
            "{} MiB are left in {shown}, of which {} are kept in reserve",
            now.free >> 20,
            self.reserve >> 20
        );
        Err(io::Error::new(io::ErrorKind::StorageFull, why))
    }
}

/// Whether an error says that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_left_alone_and_what_was_seen_stands_for_a_moment() {
        let folder = tempfile::tempdir().expect("a folder");
        Room::new(folder.path(), 1).check(1).expect("room for a byte");
        let error = Room::new(folder.path(), u64::MAX).check(1).expect_err("no such disk");
        assert!(is_full(&error) && error.to_string().contains("reserve"), "{error}");
        assert!(Room::new(&folder.path().join("nowhere"), 1).check(1).is_err(), "it does not say");
    }
}
