//! Links: addresses at which one artifact can be had without a key, for a time.

use serde::{Deserialize, Serialize};

use crate::id::{FileId, JobId, LinkId, UserId};
use crate::time::Timestamp;

/// Content that a user owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Artifact {
    File(FileId),
    /// A medium among a job's outputs, by its place from 0.
    Output {
        job: JobId,
        index: u32,
    },
}

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// The content alone, for programs.
    Download,
    /// A page for people that shows the content.
    Share,
}

impl LinkKind {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            LinkKind::Download => "download",
            LinkKind::Share => "share",
        }
    }
}

/// A link as its owner made it. Its address is signed, so that no other can be made up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub id: LinkId,
    pub owner: UserId,
    pub artifact: Artifact,
    pub kind: LinkKind,
    /// What its page is headed with.
    pub title: Option<String>,
    pub created: Timestamp,
    pub expires: Timestamp,
}
