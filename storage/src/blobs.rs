//! Content-addressed files: `ab/cdef…`, named by the BLAKE3 of their content in hexadecimal.

mod collect;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use atelier_domain::blob::{Blob, BlobData, BlobId, BlobStore, BlobWriter};
use atelier_domain::store::StoreError;
use atelier_domain::time::Timestamp;
use bytes::Bytes;

use crate::engine::unavailable;
use crate::folder;
use crate::room::{BLOBS_RESERVE_BYTES, Room};

/// Content up to this size, in bytes, is read into memory as a whole, and checked then.
pub const BLOB_MEMORY_BYTES_MAX: u64 = 256 * 1024;

/// Where unfinished blobs are written.
const UNFINISHED: &str = "unfinished";

/// The blob store of one folder.
#[derive(Debug, Clone)]
pub struct Blobs {
    folder: Arc<Folder>,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Names unfinished files.
    next: AtomicU64,
    /// By the first byte of the id: whoever publishes, claims or removes a blob holds its lock.
    changing: [Mutex<()>; 256],
    /// Whoever wants none to be removed for a while.
    keepers: AtomicU64,
    room: Room,
    /// Keeps other processes out, who would take our unfinished files for leftovers.
    _lock: File,
}

impl Blobs {
    /// Opens the blob store in a folder of its own, creating it if need be, and removes what unfinished writes left.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when another process has it open or the disk fails.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let lock = folder::lock(path).map_err(unavailable)?;
        let unfinished = path.join(UNFINISHED);
        fs::create_dir_all(&unfinished).map_err(unavailable)?;
        for entry in fs::read_dir(&unfinished).map_err(unavailable)? {
            fs::remove_file(entry.map_err(unavailable)?.path()).map_err(unavailable)?;
        }
        folder::sync(path).map_err(unavailable)?;
        let folder = Folder {
            path: path.to_owned(),
            next: AtomicU64::new(0),
            changing: std::array::from_fn(|_| Mutex::default()),
            keepers: AtomicU64::new(0),
            room: Room::new(path, BLOBS_RESERVE_BYTES),
            _lock: lock,
        };
        Ok(Self { folder: Arc::new(folder) })
    }

    /// Reads a whole blob and compares it with its id; `false` if there is none.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when it differs, or the disk is failing.
    pub fn verify(&self, id: &BlobId) -> io::Result<bool> {
        let path = self.folder.path_of(id);
        let Some(file) = existing(File::open(&path))? else { return Ok(false) };
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file)?;
        check(id, &path, hasher.finalize()).map(|()| true)
    }

    /// No blob is removed until what this gives is dropped.
    pub(crate) fn keep_all(&self) -> Kept {
        self.folder.keepers.fetch_add(1, Ordering::SeqCst);
        Kept { folder: Arc::clone(&self.folder) }
    }

    /// The file of a blob.
    pub(crate) fn file(&self, id: &BlobId) -> io::Result<File> {
        File::open(self.folder.path_of(id))
    }
}

/// See [`Blobs::keep_all`].
#[derive(Debug)]
pub(crate) struct Kept {
    folder: Arc<Folder>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.folder.keepers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl BlobStore for Blobs {
    fn create(&self, content_type: &str) -> io::Result<Box<dyn BlobWriter>> {
        let number = self.folder.next.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path.join(UNFINISHED).join(number.to_string());
        let file = File::options().write(true).create_new(true).open(&path)?;
        Ok(Box::new(Writer {
            folder: Arc::clone(&self.folder),
            content_type: content_type.to_owned(),
            file: Some(file),
            path,
            hasher: blake3::Hasher::new(),
            size: 0,
            small: Vec::new(),
            failed: false,
        }))
    }

    fn open(&self, id: &BlobId, content_type: &str) -> io::Result<Option<Blob>> {
        let path = self.folder.path_of(id);
        existing(File::open(&path))?.map(|file| read(file, path, *id, content_type)).transpose()
    }

    fn claim(&self, id: &BlobId, content_type: &str) -> io::Result<Option<Blob>> {
        let path = self.folder.path_of(id);
        let file = {
            let _held = self.folder.hold(id);
            let Some(file) = existing(File::open(&path))? else { return Ok(None) };
            file.set_modified(SystemTime::now())?;
            file
        };
        read(file, path, *id, content_type).map(Some)
    }

    fn ids(&self, after: Option<BlobId>, limit: usize) -> io::Result<Vec<BlobId>> {
        collect::ids(&self.folder.path, after, limit)
    }

    fn remove_unused(
        &self,
        id: &BlobId,
        before: Timestamp,
        is_used: &dyn Fn() -> io::Result<bool>,
    ) -> io::Result<bool> {
        let path = self.folder.path_of(id);
        let _held = self.folder.hold(id);
        if self.folder.keepers.load(Ordering::SeqCst) > 0 {
            return Ok(false);
        }
        let Some(facts) = existing(fs::metadata(&path))? else { return Ok(false) };
        if !collect::is_older(facts.modified()?, before) || is_used()? {
            return Ok(false);
        }
        fs::remove_file(&path)?;
        path.parent().map_or(Ok(()), folder::sync)?;
        Ok(true)
    }
}

/// A blob that is there. Small content is checked now.
fn read(file: File, path: PathBuf, id: BlobId, content_type: &str) -> io::Result<Blob> {
    let size = file.metadata()?.len();
    let data = if size <= BLOB_MEMORY_BYTES_MAX {
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(BLOB_MEMORY_BYTES_MAX + 1).read_to_end(&mut content)?;
        check(&id, &path, blake3::hash(&content))?;
        BlobData::Memory(content.into())
    } else {
        BlobData::File { path, keep: None }
    };
    Ok(Blob { id, size, content_type: content_type.to_owned(), data })
}

impl Folder {
    fn path_of(&self, id: &BlobId) -> PathBuf {
        let name = id.to_string();
        self.path.join(&name[..2]).join(&name[2..])
    }

    /// Keeps others from publishing, claiming or removing this blob.
    fn hold(&self, id: &BlobId) -> MutexGuard<'_, ()> {
        // The lock guards no memory, so that a panic beside it spoils nothing.
        self.changing[usize::from(id.0[0])].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a synced file its name, durably. Content that is there already is replaced by its equal, which also
    /// mends a damaged one.
    fn publish(&self, from: &Path, id: &BlobId) -> io::Result<PathBuf> {
        let path = self.path_of(id);
        let parent = path.parent().unwrap_or(&self.path);
        let _held = self.hold(id);
        fs::create_dir_all(parent)?;
        // Another writer may have made the folder an instant ago and not synced it yet: so whoever uses it syncs.
        folder::sync(&self.path)?;
        fs::rename(from, &path)?;
        folder::sync(parent)?;
        Ok(path)
    }
}

struct Writer {
    folder: Arc<Folder>,
    content_type: String,
    /// Taken when finished.
    file: Option<File>,
    path: PathBuf,
    hasher: blake3::Hasher,
    size: u64,
    /// The content while it is small, so that finishing needs no reading.
    small: Vec<u8>,
    /// After a failed append the file may hold a part of it.
    failed: bool,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("path", &self.path).field("size", &self.size).finish_non_exhaustive()
    }
}

impl BlobWriter for Writer {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = self.file.as_mut().filter(|_| !self.failed) else { return Err(failed_before()) };
        let room = self.folder.room.check(bytes.len() as u64);
        if let Err(error) = room.and_then(|()| file.write_all(bytes)) {
            self.failed = true;
            return Err(error);
        }
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        if self.size <= BLOB_MEMORY_BYTES_MAX {
            self.small.extend_from_slice(bytes);
        } else {
            self.small = Vec::new();
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<Blob> {
        let Some(file) = self.file.take().filter(|_| !self.failed) else { return Err(failed_before()) };
        // Its age counts from here, however long it took to write.
        file.set_modified(SystemTime::now())?;
        file.sync_all()?;
        drop(file);
        let id = BlobId(*self.hasher.finalize().as_bytes());
        let path = self.folder.publish(&self.path, &id)?;
        let data = if self.size <= BLOB_MEMORY_BYTES_MAX {
            BlobData::Memory(Bytes::from(std::mem::take(&mut self.small)))
        } else {
            BlobData::File { path, keep: None }
        };
        Ok(Blob { id, size: self.size, content_type: std::mem::take(&mut self.content_type), data })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Published, it is no longer there; if it cannot be removed, the next opening does it.
        drop(self.file.take());
        let _gone_or_removed_later = fs::remove_file(&self.path);
    }
}

fn failed_before() -> io::Error {
    io::Error::other("an earlier write of this blob failed: begin it anew")
}

/// `None` for a file that is not there.
fn existing<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn check(id: &BlobId, path: &Path, found: blake3::Hash) -> io::Result<()> {
    if found == blake3::Hash::from_bytes(id.0) {
        return Ok(());
    }
    let why = format!(
        "the blob at {} is damaged: its content is not that of its name; restore it from a backup",
        path.display()
    );
    Err(io::Error::new(io::ErrorKind::InvalidData, why))
}
