//! The ways in which this upstream misbehaves when asked to.

use std::fmt;
use std::str::FromStr;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// `429`: the provider's rate-limit answer, with its headers; the value is `retry-after` in seconds (1).
    RateLimited,
    /// `500`: the provider's internal error.
    ServerError,
    /// `503`: the provider's unavailable answer.
    Unavailable,
    /// `529`: Anthropic's `overloaded_error`.
    Overloaded,
    /// `cut`: the connection is reset half-way through the body.
    Cut,
    /// `reset`: the connection is reset before anything is done or answered.
    Reset,
    /// `drip`: one byte of a plain body, or one event of a stream, every so many milliseconds.
    Drip,
    /// `slow`: the status line comes after so many milliseconds.
    Slow,
    /// `malformed`: JSON that does not parse.
    Malformed,
    /// `redirect-private`: 302 to this server's own loopback address (`/_mock/private`), or to the value.
    RedirectPrivate,
    /// `redirect-metadata`: 302 to the cloud metadata address 169.254.169.254.
    RedirectMetadata,
    /// `echo`: the answer's text is the whole request, headers included.
    Echo,
    /// `echo-split`: as `echo`, in pieces of three bytes, so that secrets straddle every boundary.
    EchoSplit,
    /// `echo-header`: the credential comes back in the response header `x-mock-echo`.
    EchoHeader,
    /// `echo-error`: the credential comes back in a 401 error body.
    EchoError,
    /// `echo-request`: the whole request comes back in a 400 error body.
    EchoRequest,
    /// `giant`: a body of 1 GiB, or of so many bytes.
    Giant,
    /// `idle`: status and headers come, then nothing ever.
    Idle,
    /// `stream-error`: a stream breaks off half-way with the provider's error event.
    StreamError,
    /// `fail`: an asynchronous job ends as failed.
    Fail,
    /// `fail-echo`: an asynchronous job ends as failed, and says so with its whole input.
    FailEcho,
}

const NAMES: [(&str, FaultKind); 21] = [
    ("429", FaultKind::RateLimited),
    ("500", FaultKind::ServerError),
    ("503", FaultKind::Unavailable),
    ("529", FaultKind::Overloaded),
    ("cut", FaultKind::Cut),
    ("reset", FaultKind::Reset),
    ("drip", FaultKind::Drip),
    ("slow", FaultKind::Slow),
    ("malformed", FaultKind::Malformed),
    ("redirect-private", FaultKind::RedirectPrivate),
    ("redirect-metadata", FaultKind::RedirectMetadata),
    ("echo", FaultKind::Echo),
    ("echo-split", FaultKind::EchoSplit),
    ("echo-header", FaultKind::EchoHeader),
    ("echo-error", FaultKind::EchoError),
    ("echo-request", FaultKind::EchoRequest),
    ("giant", FaultKind::Giant),
    ("idle", FaultKind::Idle),
    ("stream-error", FaultKind::StreamError),
    ("fail", FaultKind::Fail),
    ("fail-echo", FaultKind::FailEcho),
];

/// One fault, with its value where it takes one: `drip=50`, `slow=2000`, `giant=1048576`, `429=7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The text after `=`: milliseconds, bytes, seconds or an address, depending on the kind.
    pub value: Option<String>,
}

impl Fault {
    /// The value as a number, or `otherwise` where there is none.
    pub(crate) fn amount(&self, otherwise: u64) -> u64 {
        self.value.as_deref().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
    }

    /// The fault a model's name asks for: what follows its last `+`, if that names one.
    pub(crate) fn from_model(model: &str) -> Option<Self> {
        model.rsplit_once('+').and_then(|(_, suffix)| suffix.parse().ok())
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self { kind, value: None }
    }
}

/// A fault's name that this server does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown fault {0:?}; use one of {names}", names = names())]
pub struct UnknownFault(pub String);

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let (name, value) = match text.trim().split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text.trim(), None),
        };
        let found = NAMES.iter().find(|(known, _)| *known == name);
        let (_, kind) = found.ok_or_else(|| UnknownFault(text.to_owned()))?;
        let numeric = *kind != FaultKind::RedirectPrivate;
        if numeric && value.as_deref().is_some_and(|value| value.parse::<u64>().is_err()) {
            return Err(UnknownFault(text.to_owned()));
        }
        Ok(Self { kind: *kind, value })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, kind)| *kind == self.kind).map_or("", |(name, _)| name);
        match &self.value {
            Some(value) => write!(f, "{name}={value}"),
            None => f.write_str(name),
        }
    }
}

fn names() -> String {
    NAMES.map(|(name, _)| name).join(", ")
}
