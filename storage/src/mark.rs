//! The commit high-water mark: the number of the last commit that was made durable, in a file beside the database.
//! A database whose own count is lower has lost acknowledged commits. With it stands how long the database's file was:
//! a shorter one may have been cut, so that it is read as a whole before it is used.
//!
//! Each flush writes the mark, which a killed process leaves exact. It is synced once a second at most, because a sync
//! of its own would double the time of a durable write; after a power failure the mark may thus lag behind. A mark
//! that lags never refuses a good database.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::folder;

const NAME: &str = "mark";
/// Number, length, then the first bytes of their BLAKE3.
const SLOT: usize = 24;
/// The older form, without a length.
const OLDER_SLOT: usize = 16;
/// Slots lie in sectors of their own: a torn write spoils one and leaves the other.
const SLOT_STRIDE: usize = 4096;

/// How long the mark may go without a sync while it is written.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkState {
    Absent,
    /// Neither slot is readable.
    Unreadable,
    At(Reached),
}

/// What was durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reached {
    /// The number of the last commit.
    pub(crate) commit: u64,
    /// Bytes of the database's file then; 0 if that is not known.
    pub(crate) length: u64,
}

/// The open file. Two slots are written in turn, so that one is always whole.
#[derive(Debug)]
pub(crate) struct Mark {
    file: Mutex<Slots>,
}

#[derive(Debug)]
struct Slots {
    file: File,
    next: usize,
    synced: Instant,
}

impl Mark {
    pub(crate) fn read(parent: &Path) -> io::Result<MarkState> {
        let mut bytes = Vec::new();
        match File::open(parent.join(NAME)) {
            Ok(file) => file.take(2 * SLOT_STRIDE as u64).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(MarkState::Absent),
            Err(error) => return Err(error),
        };
        let newest = [0, SLOT_STRIDE]
            .iter()
            .filter_map(|&at| parse(bytes.get(at..(at + SLOT).min(bytes.len()))?))
            .max();
        Ok(newest.map_or(MarkState::Unreadable, MarkState::At))
    }

    /// Opens the file, writing `reached` into both slots.
    pub(crate) fn open(parent: &Path, reached: Reached) -> io::Result<Self> {
        let mut content = vec![0; 2 * SLOT_STRIDE];
        content[..SLOT].copy_from_slice(&slot(reached));
        content[SLOT_STRIDE..SLOT_STRIDE + SLOT].copy_from_slice(&slot(reached));
        folder::replace(parent, NAME, &content)?;
        let file = OpenOptions::new().write(true).open(parent.join(NAME))?;
        Ok(Self { file: Mutex::new(Slots { file, next: 0, synced: Instant::now() }) })
    }

    /// Notes what is durable.
    pub(crate) fn advance(&self, reached: Reached) -> io::Result<()> {
        let mut slots = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let at = slots.next * SLOT_STRIDE;
        slots.file.seek(SeekFrom::Start(at as u64))?;
        slots.file.write_all(&slot(reached))?;
        slots.next = 1 - slots.next;
        if slots.synced.elapsed() >= SYNC_EVERY {
            slots.file.sync_data()?;
            slots.synced = Instant::now();
        }
        Ok(())
    }

    /// Makes what was noted durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).file.sync_data()
    }
}

fn slot(reached: Reached) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..8].copy_from_slice(&reached.commit.to_be_bytes());
    slot[8..16].copy_from_slice(&reached.length.to_be_bytes());
    let sum = blake3::hash(&slot[..16]);
    slot[16..].copy_from_slice(&sum.as_bytes()[..8]);
    slot
}

fn parse(bytes: &[u8]) -> Option<Reached> {
    let number = |at: usize| bytes.get(at..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
    let reached = Reached { commit: number(0)?, length: number(8)? };
    if bytes.get(..SLOT).is_some_and(|bytes| bytes == slot(reached)) {
        return Some(reached);
    }
    let older = bytes.get(..OLDER_SLOT)?;
    (older[8..] == blake3::hash(&older[..8]).as_bytes()[..8]).then_some(Reached { length: 0, ..reached })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_slot_leaves_the_mark_before_it() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Mark::read(folder.path()).expect("readable"), MarkState::Absent);
        let at = |commit| Reached { commit, length: 512 };
        let mark = Mark::open(folder.path(), Reached::default()).expect("written");
        mark.advance(at(41)).expect("written");
        mark.advance(at(42)).expect("written");
        assert_eq!(Mark::read(folder.path()).expect("readable"), MarkState::At(at(42)));

        let path = folder.path().join(NAME);
        let mut bytes = std::fs::read(&path).expect("readable");
        bytes[SLOT_STRIDE + 3] ^= 1;
        std::fs::write(&path, &bytes).expect("written");
        assert_eq!(Mark::read(folder.path()).expect("readable"), MarkState::At(at(41)));
        bytes[0] ^= 1;
        std::fs::write(&path, &bytes).expect("written");
        assert_eq!(Mark::read(folder.path()).expect("readable"), MarkState::Unreadable);
    }

    #[test]
    fn a_mark_of_the_older_form_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let number = 42u64.to_be_bytes();
        let mut bytes = vec![0; SLOT_STRIDE];
        bytes.extend_from_slice(&number);
        bytes.extend_from_slice(&blake3::hash(&number).as_bytes()[..8]);
        bytes.resize(2 * SLOT_STRIDE, 0);
        std::fs::write(folder.path().join(NAME), &bytes).expect("written");
        let found = Mark::read(folder.path()).expect("readable");
        assert_eq!(found, MarkState::At(Reached { commit: 42, length: 0 }));
    }
}
