//! Bytes too large to be passed around in memory without thought.

mod memory;

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::InvalidId;
use crate::time::Timestamp;

pub use memory::MemoryBlobs;

/// BLAKE3 of the content: equal content, equal id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobId(pub [u8; 32]);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}
impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl FromStr for BlobId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes())).map_err(|_| InvalidId {
            what: "blob id",
            text: text.chars().take(80).collect(),
            why: "it must be 64 hexadecimal digits",
        })
    }
}

/// Where a blob's bytes are.
#[derive(Clone, Debug)]
pub enum BlobData {
    Memory(Bytes),
    /// A file of the blob store; the guard keeps a temporary file alive.
    File {
        path: PathBuf,
        keep: Option<Arc<dyn Send + Sync + fmt::Debug>>,
    },
}

/// An immutable, complete blob, with its media type (RFC 6838).
#[derive(Clone, Debug)]
pub struct Blob {
    pub id: BlobId,
    /// In bytes.
    pub size: u64,
    pub content_type: String,
    pub data: BlobData,
}

impl Blob {
    /// A blob that lives in memory only.
    pub fn in_memory(content_type: impl Into<String>, bytes: Bytes) -> Self {
        Self {
            id: BlobId(*blake3::hash(&bytes).as_bytes()),
            size: bytes.len() as u64,
            content_type: content_type.into(),
            data: BlobData::Memory(bytes),
        }
    }

    /// Whether reading it takes no I/O.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.data, BlobData::Memory(_))
    }

    /// At most `max` bytes from `offset`; empty at the end. Blocks on a file: not for an async thread.
    ///
    /// # Errors
    /// The file is gone or cannot be read.
    pub fn read(&self, offset: u64, max: usize) -> io::Result<Bytes> {
        let left = self.size.saturating_sub(offset);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(max);
        match &self.data {
            BlobData::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(start..start + length.min(bytes.len() - start)))
            }
            BlobData::File { path, .. } => {
                let mut file = std::fs::File::open(path)?;
                file.seek(SeekFrom::Start(offset))?;
                let mut buffer = vec![0; length];
                file.read_exact(&mut buffer)?;
                Ok(buffer.into())
            }
        }
    }
}

/// A blob being written. Dropped without [`BlobWriter::finish`], it never existed. Its methods block.
pub trait BlobWriter: Send {
    /// Adds bytes at the end.
    ///
    /// # Errors
    /// The disk is full or failing.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes it durable and known under its id.
    ///
    /// # Errors
    /// The disk is full or failing.
    fn finish(self: Box<Self>) -> io::Result<Blob>;
}

/// The port of the blob store. Its methods block.
pub trait BlobStore: Send + Sync + fmt::Debug {
    /// Begins a blob.
    ///
    /// # Errors
    /// The disk is full or failing.
    fn create(&self, content_type: &str) -> io::Result<Box<dyn BlobWriter>>;
    /// Finds a blob. The store keeps no media types: whoever refers to a blob does.
    ///
    /// # Errors
    /// The disk is failing.
    fn open(&self, id: &BlobId, content_type: &str) -> io::Result<Option<Blob>>;
    /// Finds a blob that a new row is about to name, and makes it young again: [`BlobStore::remove_unused`] leaves it alone for its
    /// grace time, in which the row must be written.
    ///
    /// # Errors
    /// The disk is failing.
    fn claim(&self, id: &BlobId, content_type: &str) -> io::Result<Option<Blob>>;
    /// The ids after `after` in their order, `limit` at most: what the store holds, used or not.
    ///
    /// # Errors
    /// The disk is failing.
    fn ids(&self, after: Option<BlobId>, limit: usize) -> io::Result<Vec<BlobId>>;
    /// Forgets a blob that was neither written nor claimed since `before` and that `is_used` denies; `true` if it is gone by this. While
    /// `is_used` runs, the blob can be neither written nor claimed, so that no row that names it can come about unseen.
    ///
    /// # Errors
    /// Those of `is_used`, or the disk is failing.
    fn remove_unused(
        &self,
        id: &BlobId,
        before: Timestamp,
        is_used: &dyn Fn() -> io::Result<bool>,
    ) -> io::Result<bool>;
}
