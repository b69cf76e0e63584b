//! Files that records are added to without waiting for a disk: live calls that have ended. A process that is killed loses none
//! of them, since they are the system's by then; a machine that loses power loses the last 50 ms.
//!
//! What is in the books is told by the database (a [`Place`]), in the transaction that put it there. A file that has grown long gets a
//! successor, and what comes from then on is added to that. So neither grows without end however many records come, and wherever
//! a machine stops, it opens again:
//! - A successor is on disk with its head before it has a record. Until then it is not there at all.
//! - A file is removed once the database says, on disk, that the books go on with its successor. What lies before the
//!   database's place is left over from a removal.
//! - The database may reach the disk before a file does: what the file then lacks is in the books.

mod file;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use atelier_domain::store::StoreError;
use serde::{Deserialize, Serialize};

use crate::engine::unavailable;
use crate::folder;
use file::{FRAME_BYTES, Found, HEAD_BYTES};

/// Records that enter the books at once.
const BATCH_MAX: usize = 256;
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// How long written records may wait for the disk, the writing itself not counted.
const SYNC_AFTER: Duration = Duration::from_millis(20);

/// Bytes of a tail that a backup takes.
const TAIL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bounds of a file. There are two files at most: one that is written, and one that enters the books.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JournalLimits {
    /// Beyond this size a file gets a successor.
    pub(crate) cut_bytes: u64,
    /// Bytes of a file, should nothing enter the books any more.
    pub(crate) bytes_max: u64,
}

impl Default for JournalLimits {
    fn default() -> Self {
        Self { cut_bytes: 4 << 20, bytes_max: 512 << 20 }
    }
}

/// Up to where the journal is in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The file's number.
    generation: u64,
    offset: u64,
}

/// Records, and the place behind them. There may be none: then the place alone has moved, into the next file.
pub(crate) struct Batch {
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) after: Place,
}

/// The newest file.
struct Writer {
    file: Arc<File>,
    generation: u64,
    length: u64,
    failed: Option<StoreError>,
}

/// A file that nothing is added to any more.
struct Ended {
    generation: u64,
    length: u64,
}

/// What is not in the books yet.
struct Behind {
    /// Where the next batch begins.
    place: Place,
    /// In order, the file of the place first, without the newest.
    ended: VecDeque<Ended>,
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

/// The open files.
pub(crate) struct Journal {
    parent: PathBuf,
    limits: JournalLimits,
    writer: Arc<Mutex<Writer>>,
    /// Held while it is folded.
    behind: Mutex<Behind>,
    signal: Arc<Signal>,
    syncing: Option<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    /// Opens or makes the files in a folder that only this process uses. `place` is what the database says.
    pub(crate) fn open(
        parent: &Path,
        place: Option<Place>,
        limits: JournalLimits,
    ) -> Result<Self, StoreError> {
        let (writer, behind) = find(parent, place)?;
        let (writer, signal) = (Arc::new(Mutex::new(writer)), Arc::<Signal>::default());
        let syncing = {
            let (writer, signal) = (writer.clone(), signal.clone());
            let run = move || sync_when_dirty(&writer, &signal);
            std::thread::Builder::new().name("journal".to_owned()).spawn(run).map_err(unavailable)?
        };
        let behind = Mutex::new(behind);
        Ok(Self { parent: parent.to_owned(), limits, writer, behind, signal, syncing: Some(syncing) })
    }

    /// Adds a record, without waiting for the disk. An empty one is nobody's.
    pub(crate) fn append(&self, record: &[u8]) -> Result<(), StoreError> {
        let frame = file::framed(record)?;
        {
            let mut writer = lock(&self.writer);
            if let Some(error) = &writer.failed {
                return Err(error.clone());
            }
            if writer.length + frame.len() as u64 > self.limits.bytes_max {
                let why = format!("the journal of live calls has its {} bytes", self.limits.bytes_max);
                return Err(StoreError::Unavailable(why));
            }
            if let Err(error) = (&*writer.file).write_all(&frame) {
                // A part of it would hide all that comes behind it.
                let (mut file, length) = (&*writer.file, writer.length);
                let undone = file.set_len(length).and_then(|()| file.seek(SeekFrom::Start(length)));
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

    /// Adds a record that is nobody's, and waits until it is on disk: whether the journal works.
    pub(crate) fn probe(&self) -> Result<(), StoreError> {
        self.append(&[])?;
        let file = lock(&self.writer).file.clone();
        sync(&file, &self.writer)
    }

    /// What lies behind `place`, as the one file of a journal for a database that has it, with its name. What lies before the place in it is
    /// never read. Nothing may enter the books meanwhile.
    pub(crate) fn tail(&self, place: Option<Place>) -> Result<(String, Vec<u8>), StoreError> {
        let place = place.unwrap_or(Place { generation: 0, offset: HEAD_BYTES });
        let too_much = || {
            let why = format!(
                "the journal of live calls has more than the {TAIL_BYTES_MAX} bytes that a backup takes"
            );
            StoreError::Unavailable(why)
        };
        let mut bytes = file::head(place.generation);
        let before = usize::try_from(place.offset.min(TAIL_BYTES_MAX)).unwrap_or(usize::MAX);
        bytes.resize(before.max(bytes.len()), 0);
        // Held so that nothing is added, and no file gets a successor.
        let writer = lock(&self.writer);
        for generation in place.generation..=writer.generation {
            let from = if generation == place.generation { place.offset } else { HEAD_BYTES };
            let (mut file, end) = file::open(&self.parent, generation, from)?;
            let end = if generation == writer.generation { writer.length } else { end };
            let length = end.saturating_sub(from);
            if bytes.len() as u64 + length > TAIL_BYTES_MAX {
                return Err(too_much());
            }
            file.seek(SeekFrom::Start(from)).map_err(unavailable)?;
            file.take(length).read_to_end(&mut bytes).map_err(unavailable)?;
        }
        Ok((file::name(place.generation), bytes))
    }

    /// Gives what was in the journal when this was called and is not in the books to `enter`, batch by batch, which puts it there together
    /// with the place behind it. `flush` puts the books on disk. One call at a time.
    pub(crate) fn fold(
        &self,
        mut enter: impl FnMut(&Batch) -> Result<(), StoreError>,
        mut flush: impl FnMut() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut behind = lock(&self.behind);
        // What there is enters the books also where no further file can be made.
        let renewed = self.renew(&mut behind);
        while let Some(Ended { generation, length }) = behind.ended.front() {
            let (generation, length) = (*generation, *length);
            self.enter_file(&mut behind.place, length, &mut enter)?;
            let after = Place { generation: generation + 1, offset: HEAD_BYTES };
            enter(&Batch { records: Vec::new(), after })?;
            behind.place = after;
            // The next start must not look for what is removed now.
            flush()?;
            behind.ended.pop_front();
            file::remove(&self.parent, generation)?;
        }
        let length = lock(&self.writer).length;
        self.enter_file(&mut behind.place, length, &mut enter)?;
        renewed
    }

    /// Gives a file that is long, or failed, a successor. There is one at a time that is not in the books yet.
    fn renew(&self, behind: &mut Behind) -> Result<(), StoreError> {
        let next = {
            let writer = lock(&self.writer);
            let is_due = writer.failed.is_some() || writer.length > self.limits.cut_bytes;
            if !is_due || !behind.ended.is_empty() {
                return Ok(());
            }
            writer.generation + 1
        };
        let file = Arc::new(file::create(&self.parent, next)?);
        let (before, ended) = {
            let mut writer = lock(&self.writer);
            let ended = Ended { generation: writer.generation, length: writer.length };
            let before = std::mem::replace(&mut writer.file, file);
            (writer.generation, writer.length, writer.failed) = (next, HEAD_BYTES, None);
            (before, ended)
        };
        behind.ended.push_back(ended);
        // What came last goes to the disk no later than if it were the file that is written.
        before.sync_data().map_err(unavailable)
    }

    fn enter_file(
        &self,
        place: &mut Place,
        length: u64,
        enter: &mut impl FnMut(&Batch) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if place.offset >= length {
            return Ok(());
        }
        let path = file::path(&self.parent, place.generation);
        let mut file = File::open(&path).map_err(unavailable)?;
        file.seek(SeekFrom::Start(place.offset)).map_err(unavailable)?;
        let mut reader = BufReader::with_capacity(READ_BYTES, file);
        while place.offset < length {
            let mut batch = Batch { records: Vec::new(), after: *place };
            while batch.records.len() < BATCH_MAX && batch.after.offset < length {
                let Found::Record(record) = file::next(&path, &mut reader, length - batch.after.offset)?
                else {
                    return Err(file::damaged(&path, "a record is torn in its middle"));
                };
                batch.after.offset += (FRAME_BYTES + record.len()) as u64;
                batch.records.push(record);
            }
            batch.records.retain(|record| !record.is_empty());
            enter(&batch)?;
            *place = batch.after;
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

/// Finds where to write and where to read on.
fn find(parent: &Path, place: Option<Place>) -> Result<(Writer, Behind), StoreError> {
    let mut place = place.unwrap_or(Place { generation: 0, offset: 0 });
    let is_new = place == Place { generation: 0, offset: 0 };
    place.offset = place.offset.max(HEAD_BYTES);
    let mut files = file::list(parent)?;
    // These are in the books, as the database says on disk.
    for left_over in files.extract_if(.., |generation| *generation < place.generation) {
        file::remove(parent, left_over)?;
    }
    let mut ended = VecDeque::new();
    let mut newest = None;
    for (generation, expected) in files.iter().copied().zip(place.generation..) {
        if generation != expected {
            let path = file::path(parent, expected);
            return Err(file::damaged(&path, "it is gone, and with it calls that are not in the books yet"));
        }
        let offset = if generation == place.generation { place.offset } else { HEAD_BYTES };
        let (file, length) = file::open(parent, generation, offset)?;
        ended.extend(newest.replace((file, Ended { generation, length })).map(|(_, before)| before));
    }
    let (file, generation, length) = match newest {
        None if is_new => (file::create(parent, 0)?, 0, HEAD_BYTES),
        None => {
            let path = file::path(parent, place.generation);
            return Err(file::damaged(
                &path,
                "it is gone, and with it calls that may not be in the books yet",
            ));
        }
        // Places count from a file's begin: one that lacks something cannot be written to.
        Some((file, last)) if file.metadata().map_err(unavailable)?.len() < last.length => {
            let next = last.generation + 1;
            ended.push_back(last);
            (file::create(parent, next)?, next, HEAD_BYTES)
        }
        // A record that was torn in its middle was never acknowledged.
        Some((mut file, last)) => {
            file.set_len(last.length)
                .and_then(|()| file.seek(SeekFrom::Start(last.length)))
                .and_then(|_| file.sync_all())
                .map_err(unavailable)?;
            (file, last.generation, last.length)
        }
    };
    folder::sync(parent).map_err(unavailable)?;
    let writer = Writer { file: Arc::new(file), generation, length, failed: None };
    Ok((writer, Behind { place, ended }))
}

fn sync(file: &File, writer: &Mutex<Writer>) -> Result<(), StoreError> {
    file.sync_data().map_err(|error| {
        // What of it reached the disk is unknown from now on. It can be read, and it gets a successor.
        let error = unavailable(error);
        lock(writer).failed = Some(error.clone());
        error
    })
}

fn sync_when_dirty(writer: &Mutex<Writer>, signal: &Signal) {
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
        let file = lock(writer).file.clone();
        // Whoever adds the next record is told.
        let _noted = sync(&file, writer);
    }
}

#[cfg(test)]
mod tests;
