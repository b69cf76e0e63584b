//! A blob store in memory, for tests and for the harness of plugin authors.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Blob, BlobId, BlobStore, BlobWriter};
use crate::time::{Clock as _, SystemClock, Timestamp};

/// Each with the time at which it was last written or claimed.
type Blobs = Arc<Mutex<BTreeMap<BlobId, (Blob, Timestamp)>>>;

/// A blob store in memory. It grows with what is put into it: whoever fills it bounds that.
#[derive(Debug, Default)]
pub struct MemoryBlobs(Blobs);

impl MemoryBlobs {
    /// All finished blobs.
    pub fn all(&self) -> Vec<Blob> {
        lock(&self.0).values().map(|(blob, _)| blob.clone()).collect()
    }
}

struct MemoryWriter {
    blobs: Blobs,
    content_type: String,
    bytes: Vec<u8>,
}

impl BlobWriter for MemoryWriter {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<Blob> {
        let blob = Blob::in_memory(self.content_type, Bytes::from(self.bytes));
        lock(&self.blobs).insert(blob.id, (blob.clone(), now()));
        Ok(blob)
    }
}

impl BlobStore for MemoryBlobs {
    fn create(&self, content_type: &str) -> io::Result<Box<dyn BlobWriter>> {
        let blobs = Arc::clone(&self.0);
        Ok(Box::new(MemoryWriter { blobs, content_type: content_type.to_owned(), bytes: Vec::new() }))
    }

    fn open(&self, id: &BlobId, content_type: &str) -> io::Result<Option<Blob>> {
        let found = lock(&self.0).get(id).map(|(blob, _)| blob.clone());
        Ok(found.map(|blob| Blob { content_type: content_type.to_owned(), ..blob }))
    }

    fn claim(&self, id: &BlobId, content_type: &str) -> io::Result<Option<Blob>> {
        let mut blobs = lock(&self.0);
        let Some((blob, touched)) = blobs.get_mut(id) else { return Ok(None) };
        *touched = now();
        Ok(Some(Blob { content_type: content_type.to_owned(), ..blob.clone() }))
    }

    fn ids(&self, after: Option<BlobId>, limit: usize) -> io::Result<Vec<BlobId>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(lock(&self.0).range((from, Bound::Unbounded)).map(|(id, _)| *id).take(limit).collect())
    }

    fn remove_unused(
        &self,
        id: &BlobId,
        before: Timestamp,
        is_used: &dyn Fn() -> io::Result<bool>,
    ) -> io::Result<bool> {
        let mut blobs = lock(&self.0);
        if blobs.get(id).is_none_or(|(_, touched)| *touched >= before) || is_used()? {
            return Ok(false);
        }
        Ok(blobs.remove(id).is_some())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> Timestamp {
    SystemClock::default().now()
}
