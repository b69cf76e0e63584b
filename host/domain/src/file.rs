//! Files that users keep here, to be named by later requests.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::blob::BlobId;
use crate::id::{FileId, UserId};
use crate::time::Timestamp;

/// What a file is for, in OpenAI's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    Assistants,
    Batch,
    FineTune,
    Vision,
    UserData,
    Evals,
    /// What a batch made.
    BatchOutput,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Purpose; 7] = [
        Purpose::Assistants,
        Purpose::Batch,
        Purpose::FineTune,
        Purpose::Vision,
        Purpose::UserData,
        Purpose::Evals,
        Purpose::BatchOutput,
    ];

    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Assistants => "assistants",
            Purpose::Batch => "batch",
            Purpose::FineTune => "fine-tune",
            Purpose::Vision => "vision",
            Purpose::UserData => "user_data",
            Purpose::Evals => "evals",
            Purpose::BatchOutput => "batch_output",
        }
    }

    /// Whether its files are JSON Lines: one JSON object in each line.
    pub fn is_lines(self) -> bool {
        matches!(self, Purpose::Batch | Purpose::FineTune | Purpose::Evals)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of assistants, batch, fine-tune, vision, user_data, evals, batch_output")]
pub struct UnknownPurpose;

impl FromStr for Purpose {
    type Err = UnknownPurpose;
    fn from_str(word: &str) -> Result<Self, UnknownPurpose> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == word).ok_or(UnknownPurpose)
    }
}

/// A file of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    pub id: FileId,
    pub owner: UserId,
    pub blob: BlobId,
    /// In bytes.
    pub size: u64,
    /// Found by content.
    pub content_type: String,
    /// As its owner called it.
    pub name: String,
    pub purpose: Purpose,
    pub created: Timestamp,
    /// When it goes by itself.
    pub expires: Option<Timestamp>,
}

impl StoredFile {
    /// Whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// Bounds of what a user keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileQuota {
    /// Of all their files.
    pub bytes: u64,
    pub files: u64,
}

impl FileQuota {
    /// What a user keeps and what they have removed may be this often what they may keep: so what is on the disk is bounded, and whoever has
    /// removed files has room at once.
    pub const WITH_LEAVING: u64 = 2;
}

/// What a user keeps, and what they have removed that is on the disk still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUse {
    pub bytes: u64,
    pub files: u64,
    pub leaving_bytes: u64,
    pub leaving_files: u64,
}

/// A file that was removed, and whose content stays for a time of grace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeavingFile {
    pub id: FileId,
    pub owner: UserId,
    pub blob: BlobId,
    /// In bytes.
    pub size: u64,
    pub removed: Timestamp,
}

/// Which of an owner's files to list.
#[derive(Clone, Copy, Debug)]
pub struct FilePage {
    /// Begin behind this one.
    pub after: Option<FileId>,
    pub limit: usize,
    pub newest_first: bool,
    pub purpose: Option<Purpose>,
}
