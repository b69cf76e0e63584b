//! A file on its way in: never whole in memory, and nothing of it stays if it is refused.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_domain::blob::BlobWriter;
use atelier_domain::file::{FileQuota, FileUse, Purpose, StoredFile};
use atelier_domain::id::{FileId, UserId};
use atelier_domain::store::StoreError;
use bytes::{Bytes, BytesMut};

use super::lines::Lines;
use super::{Arriving, FilePorts, Files, Inner};
use crate::ServiceError;
use crate::caller::Caller;

/// Bytes gathered before they are written.
const PIECE_BYTES: usize = 1 << 20;
/// Bytes by which a file's type is told.
const HEAD_BYTES: usize = 8 << 10;

/// What is said of a file beside its content.
#[derive(Clone, Debug)]
pub struct NewFile {
    pub name: String,
    pub purpose: Purpose,
    /// Found by its content.
    pub content_type: String,
    /// After how long it goes by itself.
    pub expires_after: Option<Duration>,
}

/// A file on its way in. Dropped before [`Upload::finish`], it never existed.
pub struct Upload {
    arrival: Arrival,
    /// What the owner had when this one began.
    stored: FileUse,
    head: Vec<u8>,
    gathered: BytesMut,
    /// Absent while a piece is written, and once that has failed.
    sink: Option<Sink>,
}

/// What a piece goes through.
struct Sink {
    writer: Box<dyn BlobWriter>,
    /// Absent where the purpose is known to want none.
    lines: Option<Lines>,
    purpose: Option<Purpose>,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arrival { owner, size, .. } = &self.arrival;
        f.debug_struct("Upload").field("owner", owner).field("size", size).finish_non_exhaustive()
    }
}

impl Files {
    /// Begins a file of the caller's. Its purpose may be told later, which costs a check that may turn out to be needless.
    ///
    /// # Errors
    /// Their quota is used up, they have too many uploads under way, the disk is full or failing, or storage is busy.
    pub async fn begin(&self, caller: &Caller, purpose: Option<Purpose>) -> Result<Upload, ServiceError> {
        let arrival = Arrival::begin(&self.inner, caller.user())?;
        let FilePorts { store, blobs, room, .. } = self.inner.ports.clone();
        let (owner, quota) = (caller.user(), self.inner.limits.quota);
        let (stored, writer) = self
            .inner
            .ports
            .pool
            .run(move || -> Result<_, ServiceError> {
                room.check()?;
                let stored = store.file_use_of(owner)?;
                within(&stored, 1, &quota)?;
                Ok((stored, blobs.create("")?))
            })
            .await?;
        let lines = purpose.is_none_or(Purpose::is_lines).then(|| Lines::new(purpose));
        Ok(Upload {
            arrival,
            stored,
            head: Vec::new(),
            gathered: BytesMut::new(),
            sink: Some(Sink { writer, lines, purpose }),
        })
    }
}

/// Whether a user with these files may have so many bytes more. The store has the last word.
fn within(stored: &FileUse, bytes: u64, quota: &FileQuota) -> Result<(), ServiceError> {
    if stored.bytes.saturating_add(bytes) > quota.bytes {
        return Err(ServiceError::QuotaExceeded { used: stored.bytes, max: quota.bytes });
    }
    if stored.files >= quota.files {
        return Err(StoreError::TooManyFiles { max: quota.files }.into());
    }
    let all = stored.bytes.saturating_add(stored.leaving_bytes).saturating_add(bytes);
    if stored.leaving_bytes > 0 && all > quota.bytes.saturating_mul(FileQuota::WITH_LEAVING) {
        return Err(ServiceError::StillLeaving { bytes: stored.leaving_bytes, files: stored.leaving_files });
    }
    Ok(())
}

/// An upload as it counts while it is under way.
struct Arrival {
    inner: Arc<Inner>,
    owner: UserId,
    /// Its bytes so far.
    size: u64,
}

impl Arrival {
    fn begin(inner: &Arc<Inner>, owner: UserId) -> Result<Self, ServiceError> {
        let max = inner.limits.uploads_per_user;
        let mut arriving = arriving(inner);
        let of_owner = arriving.entry(owner).or_default();
        if of_owner.uploads >= max {
            return Err(ServiceError::TooMany { what: "uploads at once", max });
        }
        of_owner.uploads += 1;
        Ok(Self { inner: inner.clone(), owner, size: 0 })
    }

    /// Counts bytes against the quota while they arrive, those of the owner's other uploads too.
    fn add(&mut self, stored: &FileUse, bytes: u64) -> Result<(), ServiceError> {
        let mut arriving = arriving(&self.inner);
        let of_owner = arriving.entry(self.owner).or_default();
        let with_others = FileUse { bytes: stored.bytes.saturating_add(of_owner.bytes), ..*stored };
        within(&with_others, bytes, &self.inner.limits.quota)?;
        of_owner.bytes += bytes;
        self.size += bytes;
        Ok(())
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut arriving = arriving(&self.inner);
        if let Some(of_owner) = arriving.get_mut(&self.owner) {
            of_owner.uploads -= 1;
            of_owner.bytes = of_owner.bytes.saturating_sub(self.size);
            if of_owner.uploads == 0 {
                arriving.remove(&self.owner);
            }
        }
    }
}

impl Upload {
    /// In bytes, so far.
    pub fn size(&self) -> u64 {
        self.arrival.size
    }

    /// Its first bytes, by which its type can be told.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// The quota is exceeded, a line is wrong, the disk is full or failing, or storage is busy: the file is given up.
    pub async fn append(&mut self, bytes: Bytes) -> Result<(), ServiceError> {
        self.arrival.add(&self.stored, bytes.len() as u64)?;
        let missing = HEAD_BYTES.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..missing]);
        self.gathered.extend_from_slice(&bytes);
        if self.gathered.len() >= PIECE_BYTES { self.write().await } else { Ok(()) }
    }

    /// Makes it a file: once this returns, content and row are on disk.
    ///
    /// # Errors
    /// It is empty or not what its purpose says, the quota is exceeded, the disk is full or failing, or storage is busy.
    pub async fn finish(mut self, new: NewFile) -> Result<StoredFile, ServiceError> {
        let invalid = |message: String| ServiceError::Invalid { param: "file".to_owned(), message };
        if self.size() == 0 {
            return Err(invalid("it is empty".to_owned()));
        }
        if new.purpose == Purpose::Vision && !new.content_type.starts_with("image/") {
            return Err(invalid(format!("the content is {}, not an image", new.content_type)));
        }
        self.write().await?;
        let mut sink = self.sink.take().ok_or_else(given_up)?;
        let Arrival { inner, owner, size } = &self.arrival;
        let (now, store, quota) = (inner.ports.clock.now(), inner.ports.store.clone(), inner.limits.quota);
        let (owner, size) = (*owner, *size);
        let made = inner.ports.pool.run(move || -> Result<StoredFile, ServiceError> {
            if let Some(lines) = &mut sink.lines {
                lines.end();
                refuse(lines, new.purpose)?;
            }
            let blob = sink.writer.finish()?;
            let file = StoredFile {
                id: FileId::new(),
                owner,
                blob: blob.id,
                size,
                content_type: if new.purpose.is_lines() {
                    "application/jsonl".to_owned()
                } else {
                    new.content_type
                },
                name: new.name,
                purpose: new.purpose,
                created: now,
                expires: new.expires_after.map(|after| now.plus(after)),
            };
            // A crash in between leaves a blob that nothing names: the sweep removes it.
            store.create_file(&file, &quota)?;
            Ok(file)
        });
        made.await
    }

    async fn write(&mut self) -> Result<(), ServiceError> {
        let mut sink = self.sink.take().ok_or_else(given_up)?;
        let piece = self.gathered.split().freeze();
        let ports = &self.arrival.inner.ports;
        let room = ports.room.clone();
        let written = ports.pool.run(move || -> Result<Sink, ServiceError> {
            room.check()?;
            if let Some(lines) = &mut sink.lines {
                lines.feed(&piece);
                if let Some(purpose) = sink.purpose {
                    refuse(lines, purpose)?;
                }
            }
            sink.writer.append(&piece)?;
            Ok(sink)
        });
        self.sink = Some(written.await?);
        Ok(())
    }
}

/// The counts stay consistent whatever panics beside them, so that a poisoned lock is still good.
fn arriving(inner: &Inner) -> MutexGuard<'_, HashMap<UserId, Arriving>> {
    inner.arriving.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refuse(lines: &Lines, purpose: Purpose) -> Result<(), ServiceError> {
    match lines.mistake_for(purpose) {
        None => Ok(()),
        Some(mistake) => Err(ServiceError::Invalid { param: "file".to_owned(), message: mistake.told() }),
    }
}

fn given_up() -> ServiceError {
    ServiceError::Internal("an upload went on after it had failed".to_owned())
}
