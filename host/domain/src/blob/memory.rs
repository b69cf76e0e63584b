//! A blob store in memory, for tests and for the harness of plugin authors.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::{Blob, BlobId, BlobStore, BlobWriter};

type Blobs = Arc<Mutex<BTreeMap<BlobId, Blob>>>;

/// A blob store in memory. It grows with what is put into it: whoever fills it bounds that.
#[derive(Debug, Default)]
pub struct MemoryBlobs(Blobs);

impl MemoryBlobs {
    /// All finished blobs.
    pub fn all(&self) -> Vec<Blob> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
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
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner).insert(blob.id, blob.clone());
        Ok(blob)
    }
}

impl BlobStore for MemoryBlobs {
    fn create(&self, content_type: &str) -> io::Result<Box<dyn BlobWriter>> {
        let blobs = Arc::clone(&self.0);
        Ok(Box::new(MemoryWriter { blobs, content_type: content_type.to_owned(), bytes: Vec::new() }))
    }

    fn open(&self, id: &BlobId, content_type: &str) -> io::Result<Option<Blob>> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        Ok(found.map(|blob| Blob { content_type: content_type.to_owned(), ..blob }))
    }

    fn remove(&self, id: &BlobId) -> io::Result<bool> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id).is_some())
    }
}
