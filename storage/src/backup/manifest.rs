//! What a backup says of itself.

use serde::{Deserialize, Serialize};

use super::{BackupError, FORMAT};
use crate::schema::SCHEMA_VERSION;

/// How a backup begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The form of the stream.
    pub format: u32,
    /// The version of the program that made it.
    pub program: String,
    /// The schema of its rows.
    pub schema: u32,
    /// When it was begun, in milliseconds since 1970.
    pub begun_ms: u64,
    /// Whether the secrets that the configuration holds are in it.
    pub with_secrets: bool,
}

impl About {
    /// Whether this program can read it.
    pub(super) fn check(&self) -> Result<(), BackupError> {
        let Self { format, program, schema, .. } = self;
        if *format > FORMAT || *schema > SCHEMA_VERSION {
            return Err(BackupError::Newer(format!(
                "the backup was made by atelier {program} (form {format}, schema {schema}); this program knows form {FORMAT} and schema \
                 {SCHEMA_VERSION}: restore it with a newer one"
            )));
        }
        Ok(())
    }
}

/// One part of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub name: String,
    pub bytes: u64,
    /// In hexadecimal.
    pub blake3: String,
}

/// All blobs of a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobsWritten {
    pub count: u64,
    pub bytes: u64,
    /// Of their ids, one behind the other.
    pub blake3: String,
    /// What was named and could not be copied, because it was gone or damaged already.
    pub missing: Vec<String>,
}

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// All parts but the blobs, in their order.
    pub entries: Vec<Entry>,
    pub blobs: BlobsWritten,
    /// Rows of the restored store.
    pub rows: u64,
    /// The last commit in it.
    pub commit: u64,
    /// What the rows must come to (`engine::State`), in hexadecimal.
    pub state: String,
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pairs = digits.len().is_multiple_of(2).then(|| digits.chunks(2))?;
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
