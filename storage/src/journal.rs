//! A file that records are added to without waiting for a disk: live calls that have ended. A process that is killed loses none
//! of them, since they are the system's by then; a machine that loses power loses the last 50 ms.
//!
//! The file begins with its number. What is in the books is told by the database (a [`Place`]), in the transaction that put
//! it there; once that is on disk, the file may be cut, and then begins with the next number.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use atelier_domain::store::StoreError;
use serde::{Deserialize, Serialize};

use crate::engine::unavailable;
use crate::folder;

const NAME: &str = "journal";
const MAGIC: &[u8; 8] = b"atelierj";
const HEAD_BYTES: u64 = 16;
/// Before each record: its length, a checksum of that, and one of the record.
const FRAME_BYTES: usize = 16;
/// Bytes of a record.
const RECORD_BYTES_MAX: usize = 64 * 1024;
/// Records read at once.
const BATCH_MAX: usize = 256;
/// How long written records may wait for the disk, the writing itself not counted.
const SYNC_AFTER: Duration = Duration::from_millis(20);
/// Bytes of the file, should nothing enter the books any more.
const BYTES_MAX: u64 = 1 << 30;
/// Beyond this size the file is cut.
const CUT_BYTES: u64 = 4 * 1024 * 1024;

/// Up to where the journal is in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The file's number.
    generation: u64,
    offset: u64,
}

/// Records, and the place behind them.
pub(crate) struct Batch {
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) after: Place,
}

struct Writer {
    file: File,
    generation: u64,
    length: u64,
    failed: Option<StoreError>,
}

#[derive(Default)]
struct Pending {
    is_dirty: bool,
    is_stopped: bool,
}

#[derive(Default)]
struct Signal {
    pending: Mutex<Pending>,
    changed: Condvar,
}

/// The open file.
pub(crate) struct Journal {
    path: PathBuf,
    writer: Arc<Mutex<Writer>>,
    /// Where the next batch begins; held while one is folded.
    folded: Mutex<Place>,
    signal: Arc<Signal>,
    syncing: Option<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    /// Opens or makes the file in a folder that only this process uses. `place` is what the database says.
    pub(crate) fn open(parent: &Path, place: Option<Place>) -> Result<Self, StoreError> {
        let path = parent.join(NAME);
        let exists = path.try_exists().map_err(unavailable)?;
        if !exists && place.is_some() {
            return Err(damaged(&path, "it is gone, and with it calls that may not be in the books yet"));
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unavailable)?;
        let start = find_start(&path, &mut file, place)?;
        let (generation, offset, length) = match start {
            Start::At { generation, offset } => (generation, offset, find_end(&path, &mut file, offset)?),
            Start::Anew { generation } => {
                begin(&mut file, generation).map_err(unavailable)?;
                (generation, HEAD_BYTES, HEAD_BYTES)
            }
        };
        // A record that was torn in its middle was never acknowledged.
        file.set_len(length).and_then(|()| file.seek(SeekFrom::Start(length))).map_err(unavailable)?;
        file.sync_all().map_err(unavailable)?;
        folder::sync(parent).map_err(unavailable)?;
        let writer = Arc::new(Mutex::new(Writer { file, generation, length, failed: None }));
        let signal = Arc::<Signal>::default();
        let syncing = {
            let (writer, signal) = (writer.clone(), signal.clone());
            let file = lock(&writer).file.try_clone().map_err(unavailable)?;
            let run = move || sync_when_dirty(&file, &writer, &signal);
            std::thread::Builder::new().name("journal".to_owned()).spawn(run).map_err(unavailable)?
        };
        let folded = Mutex::new(Place { generation, offset });
        Ok(Self { path, writer, folded, signal, syncing: Some(syncing) })
    }

    /// Adds a record, without waiting for the disk.
    pub(crate) fn append(&self, record: &[u8]) -> Result<(), StoreError> {
        if record.len() > RECORD_BYTES_MAX {
            let size = record.len();
            return Err(StoreError::Unavailable(format!(
                "a record of the journal may have {RECORD_BYTES_MAX} bytes; this has {size}"
            )));
        }
        let mut frame = Vec::with_capacity(FRAME_BYTES + record.len());
        let size = u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes();
        frame.extend_from_slice(&size);
        frame.extend_from_slice(&checksum::<4>(&size));
        frame.extend_from_slice(&checksum::<8>(record));
        frame.extend_from_slice(record);
        {
            let mut writer = lock(&self.writer);
            if let Some(error) = &writer.failed {
                return Err(error.clone());
            }
            if writer.length + frame.len() as u64 > BYTES_MAX {
                let why = format!("the journal of live calls has its {BYTES_MAX} bytes");
                return Err(StoreError::Unavailable(why));
            }
            if let Err(error) = writer.file.write_all(&frame) {
                // A part of it would hide all that comes behind it.
                let length = writer.length;
                let undone =
                    writer.file.set_len(length).and_then(|()| writer.file.seek(SeekFrom::Start(length)));
                let error = unavailable(error);
                if undone.is_err() {
                    writer.failed = Some(error.clone());
                }
                return Err(error);
            }
            writer.length += frame.len() as u64;
        }
        let mut pending = lock(&self.signal.pending);
        if !pending.is_dirty {
            pending.is_dirty = true;
            self.signal.changed.notify_one();
        }
        Ok(())
    }

    /// Gives what is not in the books to `enter`, batch by batch, which puts it there together with the place behind it. One
    /// call at a time.
    pub(crate) fn fold(
        &self,
        mut enter: impl FnMut(&Batch) -> Result<(), StoreError>,
        flush: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut folded = lock(&self.folded);
        let mut reader: Option<File> = None;
        loop {
            let length = lock(&self.writer).length;
            if folded.offset >= length {
                break;
            }
            let reader = match &mut reader {
                Some(reader) => reader,
                none => none.insert(File::open(&self.path).map_err(unavailable)?),
            };
            reader.seek(SeekFrom::Start(folded.offset)).map_err(unavailable)?;
            let mut batch = Batch { records: Vec::new(), after: *folded };
            while batch.records.len() < BATCH_MAX && batch.after.offset < length {
                let Found::Record(record) = next(&self.path, reader, length - batch.after.offset)? else {
                    return Err(damaged(&self.path, "a record is torn in its middle"));
                };
                batch.after.offset += (FRAME_BYTES + record.len()) as u64;
                batch.records.push(record);
            }
            enter(&batch)?;
            *folded = batch.after;
        }
        if folded.offset > CUT_BYTES {
            // What is in the books must be on disk before it leaves the journal.
            flush()?;
            let mut writer = lock(&self.writer);
            if writer.length == folded.offset {
                let generation = writer.generation + 1;
                begin(&mut writer.file, generation).map_err(unavailable)?;
                (writer.generation, writer.length) = (generation, HEAD_BYTES);
                *folded = Place { generation, offset: HEAD_BYTES };
            }
        }
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        lock(&self.signal.pending).is_stopped = true;
        self.signal.changed.notify_one();
        if let Some(syncing) = self.syncing.take() {
            // It ends by itself; what it could not write is told to nobody any more.
            let _ended_or_panicked = syncing.join();
        }
    }
}

/// Cuts the file and writes its new head.
fn begin(file: &mut File, generation: u64) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&[&MAGIC[..], &generation.to_be_bytes()].concat())
}

fn sync_when_dirty(file: &File, writer: &Mutex<Writer>, signal: &Signal) {
    loop {
        let stopped = {
            let pending = lock(&signal.pending);
            let wait = signal.changed.wait_while(pending, |pending| !pending.is_dirty && !pending.is_stopped);
            let pending = wait.unwrap_or_else(PoisonError::into_inner);
            if pending.is_stopped && !pending.is_dirty {
                return;
            }
            pending.is_stopped
        };
        if !stopped {
            // Many records share one write.
            std::thread::sleep(SYNC_AFTER);
        }
        lock(&signal.pending).is_dirty = false;
        if let Err(error) = file.sync_data() {
            // What reached the disk is unknown from now on.
            lock(writer).failed = Some(unavailable(error));
            return;
        }
    }
}

enum Start {
    At {
        generation: u64,
        offset: u64,
    },
    /// All that was in it is in the books: it was being cut.
    Anew {
        generation: u64,
    },
}

fn find_start(path: &Path, file: &mut File, place: Option<Place>) -> Result<Start, StoreError> {
    let length = file.metadata().map_err(unavailable)?.len();
    let next = place.map_or(0, |place| place.generation + 1);
    let mut head = [0; HEAD_BYTES as usize];
    if length < HEAD_BYTES {
        return Ok(Start::Anew { generation: next });
    }
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_exact(&mut head)).map_err(unavailable)?;
    if head == [0; HEAD_BYTES as usize] {
        return Ok(Start::Anew { generation: next });
    }
    let (magic, generation) = head.split_at(MAGIC.len());
    let generation = generation.as_array().map(|bytes| u64::from_be_bytes(*bytes));
    let generation =
        generation.filter(|_| magic == MAGIC).ok_or_else(|| damaged(path, "its head is unreadable"))?;
    match place {
        // The database reached the disk before the journal did: what is missing is in the books.
        Some(place) if generation == place.generation && length < place.offset => {
            Ok(Start::Anew { generation: next })
        }
        Some(place) if generation == place.generation => Ok(Start::At { generation, offset: place.offset }),
        Some(_) | None if generation == next => Ok(Start::At { generation, offset: HEAD_BYTES }),
        Some(_) | None => Err(damaged(path, "it belongs to another state of the database")),
    }
}

/// Where the last whole record ends.
fn find_end(path: &Path, file: &mut File, offset: u64) -> Result<u64, StoreError> {
    let length = file.metadata().map_err(unavailable)?.len();
    file.seek(SeekFrom::Start(offset)).map_err(unavailable)?;
    let mut end = offset;
    while end < length {
        match next(path, file, length - end)? {
            Found::Record(record) => end += (FRAME_BYTES + record.len()) as u64,
            Found::Torn => break,
        }
    }
    Ok(end)
}

enum Found {
    Record(Vec<u8>),
    /// The file ends within it.
    Torn,
}

fn next(path: &Path, file: &mut File, left: u64) -> Result<Found, StoreError> {
    if left < FRAME_BYTES as u64 {
        return Ok(Found::Torn);
    }
    let mut frame = [0; FRAME_BYTES];
    file.read_exact(&mut frame).map_err(unavailable)?;
    if frame == [0; FRAME_BYTES] {
        // A file system may show zeroes where data did not reach the disk, and nothing else behind them.
        let mut rest = Vec::new();
        file.take(left).read_to_end(&mut rest).map_err(unavailable)?;
        let is_empty = rest.iter().all(|byte| *byte == 0);
        return if is_empty { Ok(Found::Torn) } else { Err(damaged(path, "a record has no length")) };
    }
    let (size, sums) = frame.split_at(4);
    let (of_size, of_record) = sums.split_at(4);
    // With a length that is believed, an end within the record is the end of the file and nothing else.
    if checksum::<4>(size) != of_size {
        return Err(damaged(path, "the length of a record is not what was written"));
    }
    let size = size.as_array().map_or(0, |bytes| u32::from_be_bytes(*bytes)) as usize;
    if size > RECORD_BYTES_MAX {
        return Err(damaged(path, "a record is too long to be one"));
    }
    if left < (FRAME_BYTES + size) as u64 {
        return Ok(Found::Torn);
    }
    let mut record = vec![0; size];
    file.read_exact(&mut record).map_err(unavailable)?;
    if checksum::<8>(&record) != of_record {
        return Err(damaged(path, "a record is not what was written"));
    }
    Ok(Found::Record(record))
}

fn checksum<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut sum = [0; N];
    sum.copy_from_slice(&blake3::hash(bytes).as_bytes()[..N]);
    sum
}

fn damaged(path: &Path, why: &str) -> StoreError {
    StoreError::Damaged(format!(
        "the journal of live calls, {}: {why}: restore the newest backup",
        path.display()
    ))
}

#[cfg(test)]
mod tests;
