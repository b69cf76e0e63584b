//! The deletion of a user: what dies at once, and what is removed after it.

use serde::{Deserialize, Serialize};

use crate::id::{BatchId, JobId, UserId};
use crate::time::Timestamp;

/// A user who was deleted. It stays for good, beside what the books and the audit log say of their id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    pub user: UserId,
    /// From then on nothing of theirs opens, and nothing new can be theirs.
    pub begun: Timestamp,
    /// From then on nothing that they stored or made is left in the database.
    pub finished: Option<Timestamp>,
}

/// How far an erasure came with one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// There is more to remove now.
    More,
    /// What is left waits for open jobs to end, or for money that is set aside for live calls to come back.
    Waiting,
    /// All is gone.
    Finished,
}

/// One step of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureStep {
    pub advance: Advance,
    /// Why rows that may be the user's could not be read: each is left, and the others are none the worse.
    pub unreadable: Vec<String>,
}

/// What of a user is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenWork {
    pub jobs: Vec<JobId>,
    pub batches: Vec<BatchId>,
}
