//! Batches: many requests in one file, answered in the background (OpenAI API, batches).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::blob::BlobId;
use crate::id::{BatchId, FileId, KeyId, UserId};
use crate::time::Timestamp;

/// How long a batch may take: the one completion window that there is.
pub const WINDOW_HOURS: u64 = 24;
/// The most mistakes of an input file that a batch tells.
pub const MISTAKES_MAX: usize = 100;

/// Where the requests of a batch go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BatchEndpoint {
    #[serde(rename = "/v1/chat/completions")]
    ChatCompletions,
    #[serde(rename = "/v1/responses")]
    Responses,
    #[serde(rename = "/v1/embeddings")]
    Embeddings,
    #[serde(rename = "/v1/moderations")]
    Moderations,
    #[serde(rename = "/v1/images/generations")]
    Images,
}

impl BatchEndpoint {
    /// All of them.
    pub const ALL: [BatchEndpoint; 5] = [
        BatchEndpoint::ChatCompletions,
        BatchEndpoint::Responses,
        BatchEndpoint::Embeddings,
        BatchEndpoint::Moderations,
        BatchEndpoint::Images,
    ];

    /// Its path.
    pub fn as_str(self) -> &'static str {
        match self {
            BatchEndpoint::ChatCompletions => "/v1/chat/completions",
            BatchEndpoint::Responses => "/v1/responses",
            BatchEndpoint::Embeddings => "/v1/embeddings",
            BatchEndpoint::Moderations => "/v1/moderations",
            BatchEndpoint::Images => "/v1/images/generations",
        }
    }
}

impl fmt::Display for BatchEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A path to which no batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be one of /v1/chat/completions, /v1/responses, /v1/embeddings, /v1/moderations, /v1/images/generations"
)]
pub struct UnknownEndpoint;

impl FromStr for BatchEndpoint {
    type Err = UnknownEndpoint;
    fn from_str(path: &str) -> Result<Self, UnknownEndpoint> {
        Self::ALL.into_iter().find(|endpoint| endpoint.as_str() == path).ok_or(UnknownEndpoint)
    }
}

/// Where a batch stands. `Completed`, `Failed`, `Expired` and `Cancelled` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    Validating,
    /// Its file is wrong; nothing was run.
    Failed,
    InProgress,
    /// All is answered; its files are being written.
    Finalizing,
    Completed,
    /// Its time was over first. What was answered is kept.
    Expired,
    Cancelling,
    /// What was answered before is kept.
    Cancelled,
}

impl BatchState {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Expired | Self::Cancelled => true,
            Self::Validating | Self::InProgress | Self::Finalizing | Self::Cancelling => false,
        }
    }

    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            BatchState::Validating => "validating",
            BatchState::Failed => "failed",
            BatchState::InProgress => "in_progress",
            BatchState::Finalizing => "finalizing",
            BatchState::Completed => "completed",
            BatchState::Expired => "expired",
            BatchState::Cancelling => "cancelling",
            BatchState::Cancelled => "cancelled",
        }
    }
}

/// What is wrong with an input file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistake {
    /// A stable word.
    pub code: String,
    pub message: String,
    pub param: Option<String>,
    /// From 1.
    pub line: Option<u64>,
}

/// When a batch came to each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moments {
    pub in_progress: Option<Timestamp>,
    pub finalizing: Option<Timestamp>,
    pub completed: Option<Timestamp>,
    pub failed: Option<Timestamp>,
    pub expired: Option<Timestamp>,
    pub cancelling: Option<Timestamp>,
    pub cancelled: Option<Timestamp>,
}

/// How many requests a batch has, and how many of them have ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub total: u64,
    pub completed: u64,
    pub failed: u64,
}

/// Many requests in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    pub id: BatchId,
    pub owner: UserId,
    /// In whose name the requests are made: what it may do and spend counts when each of them is.
    pub key: KeyId,
    pub endpoint: BatchEndpoint,
    /// The owner's file, which may be gone by now.
    pub input_file: FileId,
    /// Its content, which is not.
    pub input: BlobId,
    /// In bytes.
    pub input_size: u64,
    /// The owner's own.
    pub metadata: Vec<(String, String)>,
    /// After how many seconds its files go by themselves.
    pub output_expires_after: Option<u64>,
    pub state: BatchState,
    pub created: Timestamp,
    /// When what is not answered by then is given up.
    pub expires: Timestamp,
    pub moments: Moments,
    pub mistakes: Vec<Mistake>,
    /// The model of its requests, if they all name the same.
    pub model: Option<String>,
    pub counts: Counts,
    pub output_file: Option<FileId>,
    pub error_file: Option<FileId>,
}

impl Batch {
    /// Brings it to a state, and notes when.
    pub fn enter(&mut self, state: BatchState, now: Timestamp) {
        self.state = state;
        let moment = match state {
            BatchState::Validating => return,
            BatchState::Failed => &mut self.moments.failed,
            BatchState::InProgress => &mut self.moments.in_progress,
            BatchState::Finalizing => &mut self.moments.finalizing,
            BatchState::Completed => &mut self.moments.completed,
            BatchState::Expired => &mut self.moments.expired,
            BatchState::Cancelling => &mut self.moments.cancelling,
            BatchState::Cancelled => &mut self.moments.cancelled,
        };
        moment.get_or_insert(now);
    }
}

/// The body of an answer: in its row, or in a blob where it is large.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnswerBody {
    /// JSON.
    Inline(String),
    Blob {
        id: BlobId,
        size: u64,
    },
}

/// How a request of a batch ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineEnd {
    Answered {
        status: u16,
        request_id: String,
        body: AnswerBody,
    },
    /// There is no answer.
    Unanswered {
        code: String,
        message: String,
    },
}

/// A request of a batch that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedLine {
    /// Its line in the file, from 1.
    pub number: u32,
    /// The owner's own name of it.
    pub custom_id: String,
    pub end: LineEnd,
}

impl EndedLine {
    /// Whether it succeeded.
    pub fn is_success(&self) -> bool {
        matches!(self.end, LineEnd::Answered { status: 200..=299, .. })
    }

    /// The blob that its row names.
    pub fn blob(&self) -> Option<BlobId> {
        match &self.end {
            LineEnd::Answered { body: AnswerBody::Blob { id, .. }, .. } => Some(*id),
            LineEnd::Answered { body: AnswerBody::Inline(_), .. } | LineEnd::Unanswered { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_read_as_it_is_written() {
        for endpoint in BatchEndpoint::ALL {
            assert_eq!(endpoint.as_str().parse(), Ok(endpoint));
            assert_eq!(serde_json::to_value(endpoint).expect("JSON"), endpoint.as_str());
        }
        assert!("/v1/files".parse::<BatchEndpoint>().is_err());
    }
}
