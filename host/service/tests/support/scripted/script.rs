//! What a test has the provider do, and what it has seen.

use atelier_domain::failure::FailureCode;
use atelier_domain::generation::chat::ChatRequest;
use atelier_domain::generation::media::{JobKind, MediaRequest, Output, TrainingRequest};
use atelier_domain::generation::usage::UsageLine;

/// What the provider does when asked.
#[derive(Clone, Debug)]
pub enum Act {
    Done(&'static str),
    /// Done, with a model.
    Model(&'static str),
    /// Done, with a film.
    Film(&'static [u8]),
    /// Done, with content of this type.
    Made(&'static str, Vec<u8>),
    /// Done, with content that lies at this address.
    Linked(&'static str),
    /// Done, with this usage reported.
    DoneUsing(Vec<UsageLine>),
    Pending,
    /// Pending for a minute under this id, unless it is called back.
    Waiting(&'static str),
    /// The same, told only once `released` is notified.
    WaitingLater(&'static str),
    Fail(FailureCode),
    /// Notes that a charging request leaves, which its provider knows by a key or not, and never answers.
    ChargeAndHang(Repeatable),
    /// Notes that a charging request leaves, and is done once `released` is notified.
    ChargeAndMake(Output),
    /// Once `released` is notified, notes that a charging request leaves, and fails if that cannot be noted.
    ChargeLater(&'static str),
    /// Notes that a charging request leaves, and fails with this status of its provider's.
    ChargeAndFail(FailureCode, u16),
    /// Notes that a charging request leaves, which its provider knows by a key or not, and has no answer to it.
    ChargeAndLose(Repeatable),
    /// Notes that a charging request leaves, which it does not, since nobody is there.
    FindNobody,
    /// Fails, and repeats the prompt in all that it says.
    FailEchoing(FailureCode),
    /// Done, and repeats the prompt in all that it says of its result.
    DoneEchoing,
}

/// What it does in a conversation.
#[derive(Clone, Debug)]
pub struct Talk {
    /// Notes that a charging request leaves, one that its provider knows by a key or not.
    pub charges: Option<Repeatable>,
    /// Answers only once `released` is notified.
    pub waits: bool,
    pub says: Result<String, FailureCode>,
}

pub type Repeatable = bool;

impl Talk {
    pub fn saying(text: impl Into<String>) -> Self {
        Self { charges: Some(false), waits: false, says: Ok(text.into()) }
    }
    pub fn failing(code: FailureCode) -> Self {
        Self { charges: Some(false), waits: false, says: Err(code) }
    }
}

#[derive(Debug, Default)]
pub struct Seen {
    /// The idempotency keys of submissions.
    pub submitted_as: Vec<String>,
    /// The idempotency keys of conversations.
    pub talks: Vec<String>,
    pub submissions: u32,
    pub resumptions: u32,
    pub resumed_after_restart: u32,
    pub cancellations: u32,
    pub discoveries: u32,
    /// Why jobs went on.
    pub wakes: Vec<String>,
    pub callback_urls: Vec<Option<String>>,
    pub trainings: Vec<TrainingRequest>,
    pub media: Vec<MediaRequest>,
    pub chats: Vec<ChatRequest>,
    /// Texts that it was asked to judge, by question.
    pub judged: Vec<Vec<String>>,
    /// Of which kind jobs went on.
    pub kinds: Vec<JobKind>,
}
