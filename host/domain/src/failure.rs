//! Why a provider gave no result, from wherever it came.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The vocabulary of `failure.code` in the provider contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    InvalidRequest,
    Unauthenticated,
    Forbidden,
    NotFound,
    RateLimited,
    QuotaExhausted,
    ContentRefused,
    TooLarge,
    Unsupported,
    Overloaded,
    Unavailable,
    Timeout,
    Canceled,
    BadResponse,
    Internal,
}

impl FailureCode {
    const WORDS: [(&'static str, FailureCode); 15] = [
        ("invalid-request", FailureCode::InvalidRequest),
        ("unauthenticated", FailureCode::Unauthenticated),
        ("forbidden", FailureCode::Forbidden),
        ("not-found", FailureCode::NotFound),
        ("rate-limited", FailureCode::RateLimited),
        ("quota-exhausted", FailureCode::QuotaExhausted),
        ("content-refused", FailureCode::ContentRefused),
        ("too-large", FailureCode::TooLarge),
        ("unsupported", FailureCode::Unsupported),
        ("overloaded", FailureCode::Overloaded),
        ("unavailable", FailureCode::Unavailable),
        ("timeout", FailureCode::Timeout),
        ("canceled", FailureCode::Canceled),
        ("bad-response", FailureCode::BadResponse),
        ("internal", FailureCode::Internal),
    ];

    /// The code for a plugin's word; an unknown word is `Internal`.
    pub fn from_word(word: &str) -> Self {
        Self::WORDS.iter().find(|(known, _)| *known == word).map_or(FailureCode::Internal, |(_, code)| *code)
    }

    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, code)| *code == self).map_or("internal", |(word, _)| word)
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure that a provider reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    pub code: FailureCode,
    /// For the caller.
    pub message: String,
    /// Path of the request's offending field.
    pub param: Option<String>,
    /// The provider's HTTP status.
    pub http_status: Option<u16>,
    pub retry_after: Option<Duration>,
    /// The provider's error document, for the operator only.
    pub provider_detail: Option<String>,
}

impl Failure {
    /// A failure with a message and nothing else.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            param: None,
            http_status: None,
            retry_after: None,
            provider_detail: None,
        }
    }
}

/// What a call may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Memory,
    TableElements,
    CpuTime,
    WallTime,
    /// What its caller had left, which was less than the wall time.
    CallerTime,
    Stack,
    LogBytes,
    ResponseBytes,
    BlobBytes,
    HostCalls,
    HostCallMemory,
    OpenRequests,
    Handles,
    SlowLane,
}

impl Limit {
    /// For people and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Limit::Memory => "memory",
            Limit::TableElements => "table-elements",
            Limit::CpuTime => "cpu-time",
            Limit::WallTime => "wall-time",
            Limit::CallerTime => "caller-time",
            Limit::Stack => "stack",
            Limit::LogBytes => "log-bytes",
            Limit::ResponseBytes => "response-bytes",
            Limit::BlobBytes => "blob-bytes",
            Limit::HostCalls => "host-calls",
            Limit::HostCallMemory => "host-call-memory",
            Limit::OpenRequests => "open-requests",
            Limit::Handles => "handles",
            Limit::SlowLane => "slow-lane",
        }
    }
}

impl Limit {
    /// Whether a call that meets it has itself to blame: not others that fill the slow lane, nor its caller's hurry.
    pub fn is_of_one_call(self) -> bool {
        !matches!(self, Limit::SlowLane | Limit::CallerTime)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a call into a provider did not produce a result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProviderError {
    #[error("{instance} used up its {limit} ({budget})")]
    LimitReached { instance: String, limit: Limit, budget: String },
    #[error("{instance} may not reach {host}: {reason}")]
    EgressDenied { instance: String, host: String, reason: String },
    #[error("{instance} asked for something a plugin may not do: {what}")]
    Forbidden { instance: String, what: String },
    #[error("{instance} needs its secret {secret}, which is not set")]
    SecretMissing { instance: String, secret: String },
    #[error("{instance} cannot use its secret {secret}: {reason}")]
    SecretRefused { instance: String, secret: String, reason: String },
    #[error("{instance} reported {}: {}", failure.code, failure.message)]
    Reported { instance: String, failure: Box<Failure> },
    #[error("{instance} stopped unexpectedly: {detail}")]
    Trapped { instance: String, detail: String },
    #[error("{instance} is not available: {reason}")]
    Unavailable { instance: String, reason: String, retry_after: Option<Duration> },
    #[error("{instance} cannot do {task}")]
    Unsupported { instance: String, task: String },
    /// The operator has prompts judged, and something was found in this one.
    #[error("the prompt was not sent: {} was found in it", found.join(", "))]
    PromptRefused {
        /// Path of the request's field.
        param: Option<String>,
        /// Categories, as the moderation model names them.
        found: Vec<String>,
    },
    /// The operator has prompts judged, and the moderation model gave no verdict.
    #[error("the prompt was not sent: {model} could not judge it: {reason}")]
    PromptUnjudged { model: String, reason: String, retry_after: Option<Duration> },
    #[error("the call was canceled")]
    Canceled,
}

impl ProviderError {
    /// A short stable word for metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            ProviderError::LimitReached { .. } => "limit-reached",
            ProviderError::EgressDenied { .. } => "egress-denied",
            ProviderError::Forbidden { .. } => "forbidden",
            ProviderError::SecretMissing { .. } => "secret-missing",
            ProviderError::SecretRefused { .. } => "secret-refused",
            ProviderError::Reported { .. } => "reported",
            ProviderError::Trapped { .. } => "trapped",
            ProviderError::Unavailable { .. } => "unavailable",
            ProviderError::Unsupported { .. } => "unsupported",
            ProviderError::PromptRefused { .. } => "prompt-refused",
            ProviderError::PromptUnjudged { .. } => "prompt-unjudged",
            ProviderError::Canceled => "canceled",
        }
    }

    /// Whether the plugin itself is at fault, so that its breaker counts it.
    pub fn is_plugin_fault(&self) -> bool {
        match self {
            ProviderError::LimitReached { limit, .. } => limit.is_of_one_call(),
            ProviderError::Forbidden { .. } | ProviderError::Trapped { .. } => true,
            ProviderError::EgressDenied { .. }
            | ProviderError::SecretMissing { .. }
            | ProviderError::SecretRefused { .. }
            | ProviderError::Reported { .. }
            | ProviderError::Unavailable { .. }
            | ProviderError::Unsupported { .. }
            | ProviderError::PromptRefused { .. }
            | ProviderError::PromptUnjudged { .. }
            | ProviderError::Canceled => false,
        }
    }

    /// How long to wait before it is tried again, where somebody said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            ProviderError::Unavailable { retry_after, .. }
            | ProviderError::PromptUnjudged { retry_after, .. } => *retry_after,
            ProviderError::Reported { failure, .. } => failure.retry_after,
            ProviderError::LimitReached { .. }
            | ProviderError::EgressDenied { .. }
            | ProviderError::Forbidden { .. }
            | ProviderError::SecretMissing { .. }
            | ProviderError::SecretRefused { .. }
            | ProviderError::Trapped { .. }
            | ProviderError::Unsupported { .. }
            | ProviderError::PromptRefused { .. }
            | ProviderError::Canceled => None,
        }
    }
}
