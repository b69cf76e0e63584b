//! Why a use case gave no result.

use std::time::Duration;

use atelier_domain::account::Scope;
use atelier_domain::blob::BlobId;
use atelier_domain::failure::ProviderError;
use atelier_domain::model::{ModelStatus, Task};
use atelier_domain::money::Refusal;
use atelier_domain::store::StoreError;
use atelier_domain::text::InvalidPrompt;

use crate::limits::Decision;
use crate::templates::PromptFault;

/// Why a use case gave no result. Cheap enough to clone: callers that waited for one shared load each get it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("the API key is not known")]
    KeyUnknown,
    #[error("the API key has expired")]
    KeyExpired,
    #[error("the API key was revoked")]
    KeyRevoked,
    #[error("the user of this API key is disabled")]
    UserDisabled,
    #[error("this is the last administrator: make another one before you delete them")]
    LastAdministrator,
    #[error("this needs the scope {0}: of the API key, and of its user's role")]
    ScopeMissing(Scope),
    /// Whatever it was that is wrong.
    #[error("the name or the password is wrong")]
    SignInFailed,
    #[error("too many attempts have failed")]
    TooManyFailures { after: Duration },
    #[error("too many sign in at this moment")]
    SignInBusy,
    #[error("the session is over: sign in again")]
    SessionOver,
    /// There is no sign-up here, or no mail.
    #[error("this server does not offer that: its operator has to set it up")]
    NotOffered,
    /// Unknown, used, taken the place of by a newer one, or too old.
    #[error("the token is not good any more: ask for another mail")]
    TokenOver,
    #[error("too much mail waits to be sent")]
    MailBusy,
    #[error("too many requests of the class {}: the limit is {} in {} s", .0.class, .0.limit, .0.window.as_secs())]
    RateLimited(Decision),
    #[error("there is no model {model:?}")]
    ModelUnknown { model: String, nearest: Vec<String> },
    #[error("{model} cannot do {task}")]
    ModelCannot { model: String, task: Task, able: Vec<String> },
    #[error("{model} cannot be called: it is {}", status_word(*status))]
    ModelNotCallable { model: String, status: ModelStatus },
    /// Its models are not known yet and its provider does not answer.
    #[error("the models of {instance} are not known: {reason}")]
    CatalogueUnavailable { instance: String, reason: String },
    /// The key is missing, was refused, or does not fit the plugin any more.
    #[error("your own key for {instance} cannot be used: {why}")]
    OwnKeyUnusable { instance: String, why: String },
    /// For a template's prompt, which its user must not read, or for many requests at once.
    #[error("this is not asked with a key of your own: leave Atelier-Provider-Key out")]
    OwnKeyNotTaken,
    /// One that was sent with a request which outlives it.
    #[error("a job outlives its request: keep your key with POST /api/v1/provider-keys instead")]
    OwnKeyNotKept,
    #[error("{param}: {why}")]
    Prompt { param: String, why: InvalidPrompt },
    #[error("{param}: {message}")]
    Invalid { param: String, message: String },
    #[error("there is no {what}")]
    NotFound { what: &'static str },
    #[error("the {what} has not ended: cancel it, or wait")]
    NotEnded { what: &'static str },
    #[error("{what} already exists")]
    Exists { what: String },
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The provider's stream ended without its last event: no answer may be made up from it.
    #[error("{instance} broke off its answer")]
    AnswerBrokenOff { instance: String },
    #[error("{what} took longer than {} s", after.as_secs())]
    TimedOut { what: &'static str, after: Duration },
    /// Its job failed.
    #[error("the generation failed ({code}): {message}")]
    JobFailed { code: String, message: String },
    #[error("too many open jobs: the limit is {max}")]
    TooManyJobs { max: usize },
    #[error("too many {what}: the limit is {max}")]
    TooMany { what: &'static str, max: usize },
    #[error("the queue is full: {max} jobs wait or run")]
    QueueFull { max: usize },
    /// What follows an answer waits for its end.
    #[error("the answer that this is to follow is still being made")]
    AnswerPending,
    #[error("the first request with this idempotency key is still under way")]
    KeyInUse,
    #[error("this idempotency key was used with another request: use a new key for each request")]
    KeyReused,
    /// The process ended while it ran.
    #[error(
        "the server stopped while the first request with this idempotency key was under way, after its effect may have happened; \
         it is not done twice: use a new key if you want it again"
    )]
    ClaimUnknown,
    #[error(
        "the first request with this idempotency key was answered, and its answer was not kept (secret, broken off or too large)"
    )]
    AnswerNotKept,
    #[error("the files would have more than the {max} bytes allowed: {used} are used; delete some")]
    QuotaExceeded { used: u64, max: u64 },
    #[error(
        "removed files are on the disk still, with {bytes} bytes in {files} files: there is room again once they are gone, some days \
         after their removal"
    )]
    StillLeaving { bytes: u64, files: u64 },
    #[error("the disk of this server is almost full: its operator has to make room")]
    DiskLow,
    /// A row names a blob that is not in the blob store, or is not what it was: somebody has changed the folder.
    #[error("the content of {what} is gone: blob {blob} is {state}; restore it from a backup")]
    ContentMissing { what: &'static str, blob: BlobId, state: &'static str },
    #[error("{model} cannot be called: its price is not set")]
    NotPriced { model: String },
    /// The ledger does not allow it.
    #[error(transparent)]
    Refused(Refusal),
    /// What an administrator wrote does not work out; nothing of it is in the message.
    #[error("the template's prompt could not be filled in: {0}")]
    Template(PromptFault),
    #[error("storage is busy")]
    StorageBusy,
    /// More callbacks of a provider than are taken at once; it sends them again, and jobs are asked about anyhow.
    #[error("too many callbacks of this provider are being taken; send it again")]
    CallbacksBusy,
    #[error(transparent)]
    Store(StoreError),
    #[error("blob store: {0}")]
    Blobs(String),
    /// A bug of ours, or a machine without randomness.
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists { what } => Self::Exists { what },
            StoreError::QuotaExceeded { used, max, .. } => Self::QuotaExceeded { used, max },
            StoreError::TooManyFiles { max } => {
                Self::TooMany { what: "files", max: usize::try_from(max).unwrap_or(usize::MAX) }
            }
            StoreError::StillLeaving { bytes, files } => Self::StillLeaving { bytes, files },
            StoreError::Refused(why) => Self::Refused(why),
            other => Self::Store(other),
        }
    }
}

impl From<std::io::Error> for ServiceError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::Store(StoreError::Full(error.to_string()))
            }
            _ => Self::Blobs(error.to_string()),
        }
    }
}

/// The API's word for a model's status.
pub fn status_word(status: ModelStatus) -> &'static str {
    match status {
        ModelStatus::Available => "available",
        ModelStatus::Experimental => "experimental",
        ModelStatus::ComingSoon => "coming-soon",
        ModelStatus::Deprecated => "deprecated",
    }
}
