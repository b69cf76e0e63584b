//! Backups: everything that a store holds at one moment, and the blobs that it names, as one stream of bytes that is written while
//! the store is used; and the way back.
//!
//! The stream is a tar archive (POSIX.1-1988), in this order:
//! - `about.json`: which program made it, and of which schema it is;
//! - `files/…`: configuration, plugins and keys, as its maker gave them;
//! - `rows/NNNNNNNN`: rows of all tables, and what became of them while the others were read, to be applied in their order; each part
//!   begins with the BLAKE3 of the rest of it;
//! - `journal.N`: live calls that were not in the books yet;
//! - `blobs/ID`: content, named by its own BLAKE3;
//! - `manifest.json`: the sizes and BLAKE3 of all that comes before, and the sums that the rows must come to;
//! - `manifest.blake3`: its hash.
//!
//! So a stream that was cut has no manifest, and what was changed is known by its name. Nothing is compressed: media do not
//! shrink, and what compresses well is small.

mod manifest;
mod read;
mod rows;
mod write;

use std::io;
use std::path::PathBuf;

use atelier_domain::store::StoreError;

pub use manifest::{About, BlobsWritten, Entry, Manifest};
pub use read::{check, restore};
pub use write::{Source, write};

/// The form of the stream.
const FORMAT: u32 = 1;

const ABOUT: &str = "about.json";
const MANIFEST: &str = "manifest.json";
const MANIFEST_HASH: &str = "manifest.blake3";
/// What the name of the journal's file begins with; its number follows.
const JOURNAL: &str = "journal.";
const FILES: &str = "files/";
const ROWS: &str = "rows/";
const BLOBS: &str = "blobs/";

/// Why a backup was not made or not taken.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{what}: {source}")]
    Io {
        what: String,
        #[source]
        source: io::Error,
    },
    /// Names what is damaged.
    #[error("the backup is damaged: {0}; take another one")]
    Damaged(String),
    #[error("{0}")]
    Newer(String),
    #[error("{} is not empty: restore into a folder that is new or empty", .0.display())]
    NotEmpty(PathBuf),
    #[error("another restore writes to {}", .0.display())]
    UnderWay(PathBuf),
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows and changes of rows.
    pub rows: u64,
    pub blobs: u64,
    /// Bytes of the stream's content.
    pub bytes: u64,
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> BackupError {
    let what = what.into();
    move |source| BackupError::Io { what, source }
}
