//! Files that users keep here: taken in piece by piece, checked by content, within a quota; and the sweep that removes what nobody names
//! any more.

mod lines;
mod sweep;
mod upload;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atelier_domain::blob::{Blob, BlobId, BlobStore};
use atelier_domain::file::{FilePage, FileQuota, StoredFile};
use atelier_domain::id::{FileId, UserId};
use atelier_domain::store::{FileStore, LinkStore};
use atelier_domain::time::Clock;

use crate::caller::Caller;
use crate::disk::Room;
use crate::meter::Meter;
use crate::{ServiceError, StoragePool};

pub use lines::{LINE_BYTES_MAX, LINES_MAX};
pub use sweep::Swept;
pub use upload::{NewFile, Upload};

/// Bounds of what users keep.
#[derive(Clone, Copy, Debug)]
pub struct FileLimits {
    /// What a user keeps.
    pub quota: FileQuota,
    /// Uploads of one user under way: each may hold a line of [`LINE_BYTES_MAX`].
    pub uploads_per_user: usize,
    /// How long a blob that nothing names is left alone: longer than any job takes from its first result to its last.
    pub grace: Duration,
}

/// What files are kept with.
#[derive(Clone, Debug)]
pub struct FilePorts {
    pub store: Arc<dyn FileStore>,
    pub links: Arc<dyn LinkStore>,
    pub blobs: Arc<dyn BlobStore>,
    pub pool: StoragePool,
    pub clock: Arc<dyn Clock>,
    pub room: Room,
    pub meter: Arc<dyn Meter>,
}

#[derive(Debug)]
struct Inner {
    ports: FilePorts,
    limits: FileLimits,
    /// Uploads under way.
    arriving: Mutex<HashMap<UserId, Arriving>>,
}

/// Uploads of one user under way.
#[derive(Debug, Default)]
struct Arriving {
    uploads: usize,
    bytes: u64,
}

/// Files of all users.
#[derive(Clone, Debug)]
pub struct Files {
    inner: Arc<Inner>,
}

impl Files {
    /// Over these ports.
    pub fn new(ports: FilePorts, limits: FileLimits) -> Self {
        Self { inner: Arc::new(Inner { ports, limits, arriving: Mutex::default() }) }
    }

    /// The caller's file.
    ///
    /// # Errors
    /// They have none such.
    pub async fn get(&self, caller: &Caller, id: FileId) -> Result<StoredFile, ServiceError> {
        self.owned(caller.user(), id).await
    }

    /// A user's file; one whose time is over is none.
    ///
    /// # Errors
    /// They have none such.
    pub(crate) async fn owned(&self, owner: UserId, id: FileId) -> Result<StoredFile, ServiceError> {
        let FilePorts { store, pool, clock, .. } = &self.inner.ports;
        let store = store.clone();
        let found = pool.run(move || store.file_of(owner, id)).await?;
        found.filter(|file| !file.is_expired(clock.now())).ok_or(ServiceError::NotFound { what: "such file" })
    }

    /// A page of the caller's files; among them those whose time is over until the next sweep.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn list(&self, caller: &Caller, page: FilePage) -> Result<Vec<StoredFile>, ServiceError> {
        let FilePorts { store, pool, .. } = &self.inner.ports;
        let (store, owner) = (store.clone(), caller.user());
        pool.run(move || store.files_of(owner, &page)).await
    }

    /// Removes the caller's file. Jobs that were given it keep its content.
    ///
    /// # Errors
    /// They have none such.
    pub async fn remove(&self, caller: &Caller, id: FileId) -> Result<(), ServiceError> {
        let file = self.get(caller, id).await?;
        match self.inner.forget(file).await? {
            true => Ok(()),
            false => Err(ServiceError::NotFound { what: "such file" }),
        }
    }

    /// A file's content.
    ///
    /// # Errors
    /// [`ServiceError::ContentMissing`] if it is gone behind the host's back.
    pub async fn open(&self, file: &StoredFile) -> Result<Blob, ServiceError> {
        let FilePorts { blobs, pool, .. } = &self.inner.ports;
        opened(blobs, pool, "a file", file.blob, file.size, &file.content_type).await
    }
}

impl Inner {
    /// Removes a file's row; what reads it at this moment may go on.
    async fn forget(&self, file: StoredFile) -> Result<bool, ServiceError> {
        let FilePorts { store, blobs, pool, clock, .. } = &self.ports;
        let (store, blobs, now) = (store.clone(), blobs.clone(), clock.now());
        pool.run(move || {
            // Its content's time of grace begins now; content that is gone or damaged needs none.
            if let Err(error) = blobs.claim(&file.blob, "") {
                tracing::warn!(blob = %file.blob, %error, "the content of a file that is being removed cannot be read");
            }
            store.remove_file(file.owner, file.id, now)
        })
        .await
    }
}

/// The blob that a row names.
pub(crate) async fn opened(
    blobs: &Arc<dyn BlobStore>,
    pool: &StoragePool,
    what: &'static str,
    blob: BlobId,
    size: u64,
    content_type: &str,
) -> Result<Blob, ServiceError> {
    let (blobs, content_type) = (blobs.clone(), content_type.to_owned());
    let found = pool.run(move || Ok::<_, ServiceError>(blobs.open(&blob, &content_type))).await?;
    match found {
        Ok(Some(found)) if found.size == size => Ok(found),
        Ok(Some(_)) => Err(ServiceError::ContentMissing { what, blob, state: "of another size" }),
        Ok(None) => Err(ServiceError::ContentMissing { what, blob, state: "not there" }),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(ServiceError::ContentMissing { what, blob, state: "damaged" })
        }
        Err(error) => Err(error.into()),
    }
}
