//! A file on its way in: never whole in memory, and nothing of it stays if it is refused.

use std::fmt;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_domain::blob::BlobWriter;
use atelier_domain::file::{Purpose, StoredFile};
use atelier_domain::id::{FileId, UserId};
use bytes::{Bytes, BytesMut};

use super::lines::Lines;
use super::{Files, Inner};
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
    inner: Arc<Inner>,
    owner: UserId,
    /// What the owner's files had when this one began.
    stored: u64,
    size: u64,
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
        f.debug_struct("Upload").field("owner", &self.owner).field("size", &self.size).finish_non_exhaustive()
    }
}

impl Files {
    /// Begins a file of the caller's. Its purpose may be told later, which costs a check that may turn out to be needless.
    ///
    /// # Errors
    /// Their quota is used up, the disk is failing, or storage is busy.
    pub async fn begin(&self, caller: &Caller, purpose: Option<Purpose>) -> Result<Upload, ServiceError> {
        let (store, blobs) = (self.inner.ports.store.clone(), self.inner.ports.blobs.clone());
        let (owner, max) = (caller.user(), self.inner.limits.quota_bytes);
        let (stored, writer) = self
            .inner
            .ports
            .pool
            .run(move || -> Result<_, ServiceError> {
                let stored = store.file_bytes_of(owner)?;
                if stored >= max {
                    return Err(ServiceError::QuotaExceeded { used: stored, max });
                }
                Ok((stored, blobs.create("")?))
            })
            .await?;
        let lines = purpose.is_none_or(Purpose::is_lines).then(|| Lines::new(purpose));
        Ok(Upload {
            inner: self.inner.clone(),
            owner,
            stored,
            size: 0,
            head: Vec::new(),
            gathered: BytesMut::new(),
            sink: Some(Sink { writer, lines, purpose }),
        })
    }
}

impl Upload {
    /// In bytes, so far.
    pub fn size(&self) -> u64 {
        self.size
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
        self.arrive(bytes.len() as u64)?;
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
        if self.size == 0 {
            return Err(invalid("it is empty".to_owned()));
        }
        if new.purpose == Purpose::Vision && !new.content_type.starts_with("image/") {
            return Err(invalid(format!("the content is {}, not an image", new.content_type)));
        }
        self.write().await?;
        let mut sink = self.sink.take().ok_or_else(given_up)?;
        let now = self.inner.ports.clock.now();
        let (store, owner, size) = (self.inner.ports.store.clone(), self.owner, self.size);
        let quota_bytes = self.inner.limits.quota_bytes;
        let made = self.inner.ports.pool.run(move || -> Result<StoredFile, ServiceError> {
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
            store.create_file(&file, quota_bytes)?;
            Ok(file)
        });
        made.await
    }

    /// Counts bytes against the quota while they arrive, those of the owner's other uploads too.
    fn arrive(&mut self, bytes: u64) -> Result<(), ServiceError> {
        let max = self.inner.limits.quota_bytes;
        let mut arriving = arriving(&self.inner);
        let all = arriving.entry(self.owner).or_default();
        let used = self.stored.saturating_add(*all);
        if used.saturating_add(bytes) > max {
            return Err(ServiceError::QuotaExceeded { used, max });
        }
        *all += bytes;
        self.size += bytes;
        Ok(())
    }

    async fn write(&mut self) -> Result<(), ServiceError> {
        let mut sink = self.sink.take().ok_or_else(given_up)?;
        let piece = self.gathered.split().freeze();
        let written = self.inner.ports.pool.run(move || -> Result<Sink, ServiceError> {
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

impl Drop for Upload {
    fn drop(&mut self) {
        let mut arriving = arriving(&self.inner);
        if let Some(all) = arriving.get_mut(&self.owner) {
            *all = all.saturating_sub(self.size);
            if *all == 0 {
                arriving.remove(&self.owner);
            }
        }
    }
}

/// The counts stay consistent whatever panics beside them, so that a poisoned lock is still good.
fn arriving(inner: &Inner) -> MutexGuard<'_, std::collections::HashMap<UserId, u64>> {
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
