//! The commit high-water mark: the number of the last commit that was made durable, in a file beside the database.
//! A database whose own count is lower has lost acknowledged commits.
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
/// The number, then the first bytes of its BLAKE3.
const SLOT: usize = 16;
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
    At(u64),
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
        let newest = [0, SLOT_STRIDE].iter().filter_map(|&at| parse(bytes.get(at..at + SLOT)?)).max();
        Ok(newest.map_or(MarkState::Unreadable, MarkState::At))
    }

    /// Opens the file, writing `number` into both slots.
    pub(crate) fn open(parent: &Path, number: u64) -> io::Result<Self> {
        let mut content = vec![0; 2 * SLOT_STRIDE];
        content[..SLOT].copy_from_slice(&slot(number));
        content[SLOT_STRIDE..SLOT_STRIDE + SLOT].copy_from_slice(&slot(number));
        folder::replace(parent, NAME, &content)?;
        let file = OpenOptions::new().write(true).open(parent.join(NAME))?;
        Ok(Self { file: Mutex::new(Slots { file, next: 0, synced: Instant::now() }) })
    }

    /// Notes that commits up to `number` are durable.
    pub(crate) fn advance(&self, number: u64) -> io::Result<()> {
        let mut slots = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let at = slots.next * SLOT_STRIDE;
        slots.file.seek(SeekFrom::Start(at as u64))?;
        slots.file.write_all(&slot(number))?;
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

fn slot(number: u64) -> [u8; SLOT] {
    let number = number.to_be_bytes();
    let mut slot = [0; SLOT];
    slot[..8].copy_from_slice(&number);
    slot[8..].copy_from_slice(&blake3::hash(&number).as_bytes()[..8]);
    slot
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let number = u64::from_be_bytes(*bytes.first_chunk()?);
    (slot(number) == bytes).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_slot_leaves_the_mark_before_it() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Mark::read(folder.path()).expect("readable"), MarkState::Absent);
        let mark = Mark::open(folder.path(), 0).expect("written");
        mark.advance(41).expect("written");
        mark.advance(42).expect("written");
        assert_eq!(Mark::read(folder.path()).expect("readable"), MarkState::At(42));

        let path = folder.path().join(NAME);
        let mut bytes = std::fs::read(&path).expect("readable");
        bytes[SLOT_STRIDE + 3] ^= 1;
        std::fs::write(&path, &bytes).expect("written");
        assert_eq!(Mark::read(folder.path()).expect("readable"), MarkState::At(41));
        bytes[0] ^= 1;
        std::fs::write(&path, &bytes).expect("written");
        assert_eq!(Mark::read(folder.path()).expect("readable"), MarkState::Unreadable);
    }
}
