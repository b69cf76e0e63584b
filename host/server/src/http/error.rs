//! The one error enum of the HTTP edge: only it knows status codes.

mod logged;
mod provider;
mod service;
mod shapes;

use std::time::Duration;

pub(super) use shapes::{AnthropicError, OpenAiError, Problem};

use atelier_domain::id::JobId;
use atelier_service::ServiceError;
use axum::response::Response;
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_RANGE, LOCATION};
use http::{HeaderValue, StatusCode};

use super::idempotency;

/// Which API a route speaks, and so which shape its errors have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `{"error": {message, type, param, code}}`
    OpenAi,
    /// `{"type": "error", "error": {type, message}}`
    Anthropic,
    /// RFC 9457.
    Problem,
}

/// Why a request was not answered as wished.
#[derive(Debug)]
pub enum ApiError {
    KeyMissing,
    /// A request with a session's cookie that its own page did not mean.
    CrossSite {
        why: &'static str,
    },
    NoSuchRoute,
    MethodNotAllowed,
    /// It says for no host that it is meant, for several, or unreadably.
    HostMalformed,
    /// It is meant for a host that is not this one.
    Misdirected,
    /// A page asks whose origin the operator did not name.
    OriginUnknown,
    /// Its body is compressed.
    ContentCoding,
    /// What a trusted proxy passed on cannot be read.
    Forwarded(&'static str),
    /// Its client has too many requests under way through the operator's proxies.
    AddressBusy,
    /// It has come back to this host more than once.
    RequestLoop,
    TimedOut,
    BodyTooLarge {
        /// Bytes.
        max: usize,
    },
    /// A form has too much that is in none of its fields.
    FormOverhead {
        /// Bytes.
        max: usize,
    },
    BodyBroken(String),
    ContentType {
        wanted: &'static str,
    },
    /// None of the wanted bytes are there (RFC 9110 §15.5.17).
    RangeOutside {
        /// Of the whole, in bytes.
        size: u64,
    },
    /// `if-match` names another content (RFC 9110 §13.1.1).
    OtherContent,
    MalformedJson {
        line: usize,
        column: usize,
        message: String,
    },
    UnknownParameter {
        param: String,
    },
    MissingParameter {
        param: String,
    },
    Invalid {
        param: String,
        message: String,
    },
    /// The client paused for too long while it sent its body.
    BodyIdle {
        after: Duration,
    },
    /// A stream went on for longer than the host lets one.
    StreamTooLong {
        after: Duration,
    },
    /// A provider was silent for too long in the middle of a stream.
    StreamIdle {
        after: Duration,
    },
    /// A job that was waited for goes on.
    JobGoesOn {
        /// What it makes.
        what: &'static str,
        job: JobId,
        after: Duration,
    },
    /// The answer to a request with an idempotency key, as far as that says more of it.
    Keyed {
        error: Box<ApiError>,
        /// It stands for good: sent again under its key, the request is answered so again.
        stays: bool,
        /// It tells what became of an earlier request with the key.
        is_replayed: bool,
    },
    Service(ServiceError),
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

/// An error as it is told, whatever the shape.
#[derive(Debug)]
pub(super) struct Told {
    pub status: StatusCode,
    /// A stable word.
    pub code: &'static str,
    pub message: String,
    pub param: Option<String>,
    pub retry_after: Option<Duration>,
}

impl Told {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), param: None, retry_after: None }
    }
    fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }
    fn retry(mut self, after: Option<Duration>) -> Self {
        self.retry_after = after;
        self
    }
}

impl ApiError {
    /// A member of the request that cannot be.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { param: param.into(), message: message.into() }
    }

    /// A bug of ours.
    pub fn bug(detail: impl Into<String>) -> Self {
        Self::Service(ServiceError::Internal(detail.into()))
    }

    /// The error as it is told.
    pub(super) fn told(&self) -> Told {
        match self {
            Self::KeyMissing => Told::new(
                StatusCode::UNAUTHORIZED,
                "missing_api_key",
                "no API key was given: send the header `Authorization: Bearer atl_…`",
            ),
            Self::CrossSite { why } => Told::new(
                StatusCode::FORBIDDEN,
                "cross_site_request",
                format!("a request that changes something in a session must come from its own page: {why}"),
            ),
            Self::NoSuchRoute => {
                Told::new(StatusCode::NOT_FOUND, "unknown_url", "there is nothing at this address")
            }
            Self::RequestLoop => Told::new(
                StatusCode::LOOP_DETECTED,
                "request_loop",
                "the request has passed through this host before: an instance points back at it in a circle",
            ),
            Self::MethodNotAllowed => Told::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this address does not take this method; see the `allow` header",
            ),
            Self::HostMalformed => Told::new(
                StatusCode::BAD_REQUEST,
                "malformed_host",
                "a request names the one host for which it is meant, in the header `Host`",
            ),
            Self::Misdirected => Told::new(
                StatusCode::MISDIRECTED_REQUEST,
                "misdirected_request",
                "this server does not answer for this host",
            ),
            Self::OriginUnknown => Told::new(
                StatusCode::FORBIDDEN,
                "origin_not_allowed",
                "pages of this origin may not use this server: its operator names those that may",
            ),
            Self::ContentCoding => Told::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_content_encoding",
                "the body must not be compressed: send it without `Content-Encoding`",
            ),
            Self::Forwarded(what) => Told::new(
                StatusCode::BAD_REQUEST,
                "malformed_forwarded",
                format!("the header that names the senders of this request cannot be read: {what}"),
            ),
            Self::AddressBusy => Told::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_connections",
                "too many requests of this address are under way at once",
            )
            .retry(Some(Duration::from_secs(1))),
            Self::TimedOut => Told::new(
                StatusCode::GATEWAY_TIMEOUT,
                "request_timeout",
                "the request took too long and was stopped",
            ),
            Self::BodyTooLarge { max } => Told::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "request_too_large",
                format!("the body is too large: this route takes {max} bytes at most"),
            ),
            Self::FormOverhead { max } => Told::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "request_too_large",
                format!(
                    "the form has more than {max} bytes in none of its fields: before its first boundary, or in the heads of its parts"
                ),
            ),
            Self::BodyBroken(_) => {
                Told::new(StatusCode::BAD_REQUEST, "incomplete_body", "the body could not be read to its end")
            }
            Self::ContentType { wanted } => Told::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_content_type",
                format!("the body must be {wanted}: send the header `Content-Type: {wanted}`"),
            ),
            Self::RangeOutside { size } => Told::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range_not_satisfiable",
                format!("there are {size} bytes, and none of them in the range asked for"),
            ),
            Self::OtherContent => Told::new(
                StatusCode::PRECONDITION_FAILED,
                "precondition_failed",
                "the content is not the one that `if-match` names",
            ),
            Self::MalformedJson { line, column, message } => Told::new(
                StatusCode::BAD_REQUEST,
                "malformed_json",
                format!("the body is not valid JSON: {message} at line {line} column {column}"),
            ),
            Self::UnknownParameter { param } => Told::new(
                StatusCode::BAD_REQUEST,
                "unknown_parameter",
                format!("Unknown parameter: '{param}'."),
            )
            .at(param),
            Self::MissingParameter { param } => Told::new(
                StatusCode::BAD_REQUEST,
                "missing_required_parameter",
                format!("Missing required parameter: '{param}'."),
            )
            .at(param),
            Self::Invalid { param, message } => {
                Told::new(StatusCode::BAD_REQUEST, "invalid_value", format!("'{param}': {message}")).at(param)
            }
            Self::BodyIdle { after } => Told::new(
                StatusCode::REQUEST_TIMEOUT,
                "body_timeout",
                format!("nothing more of the body came for {} s", after.as_secs()),
            ),
            Self::StreamTooLong { after } => Told::new(
                StatusCode::GATEWAY_TIMEOUT,
                "stream_timeout",
                format!("the stream was ended after {} s, the most that this host allows", after.as_secs()),
            ),
            Self::StreamIdle { after } => Told::new(
                StatusCode::GATEWAY_TIMEOUT,
                "provider_timeout",
                format!("the provider sent nothing for {} s", after.as_secs()),
            ),
            Self::JobGoesOn { what, job, after } => Told::new(
                StatusCode::GATEWAY_TIMEOUT,
                "generation_goes_on",
                format!(
                    "{what} took longer than {} s and goes on: its result will be at /api/v1/generations/{job}; sent again, the \
                     request would be another one",
                    after.as_secs()
                ),
            ),
            Self::Keyed { error, .. } => error.told(),
            Self::Service(error) => service::told(error),
        }
    }

    /// The status that it is answered with.
    pub fn status(&self) -> StatusCode {
        self.told().status
    }

    /// The stable word for logs.
    pub fn code(&self) -> &'static str {
        self.told().code
    }

    /// What only the operator may read, if there is such.
    pub(super) fn internal_detail(&self) -> Option<String> {
        match self {
            Self::Service(error) => service::internal_detail(error),
            Self::Keyed { error, .. } => error.internal_detail(),
            Self::BodyBroken(detail) => Some(detail.clone()),
            Self::KeyMissing
            | Self::CrossSite { .. }
            | Self::NoSuchRoute
            | Self::MethodNotAllowed
            | Self::HostMalformed
            | Self::Misdirected
            | Self::OriginUnknown
            | Self::ContentCoding
            | Self::Forwarded(_)
            | Self::AddressBusy
            | Self::RequestLoop
            | Self::TimedOut
            | Self::BodyTooLarge { .. }
            | Self::FormOverhead { .. }
            | Self::ContentType { .. }
            | Self::RangeOutside { .. }
            | Self::OtherContent
            | Self::MalformedJson { .. }
            | Self::UnknownParameter { .. }
            | Self::MissingParameter { .. }
            | Self::Invalid { .. }
            | Self::BodyIdle { .. }
            | Self::StreamTooLong { .. }
            | Self::StreamIdle { .. }
            | Self::JobGoesOn { .. } => None,
        }
    }

    /// The whole answer.
    pub fn respond(&self, dialect: Dialect, request_id: &str) -> Response {
        if let Self::Keyed { error, stays, is_replayed } = self {
            let mut response = error.respond(dialect, request_id);
            if *stays {
                idempotency::tell_that_it_stays(response.headers_mut());
            }
            if *is_replayed {
                idempotency::tell_that_it_is_replayed(response.headers_mut());
            }
            return response;
        }
        let mut response = shapes::respond(&self.told(), dialect, request_id);
        if self.leaves_a_body_unread() {
            // The connection ends with this answer: a client that keeps it for its next request would lose that one.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if matches!(self, Self::ContentCoding) {
            // What would be taken (RFC 9110 §12.5.3).
            response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Self::RangeOutside { size } = self
            && let Ok(whole) = HeaderValue::try_from(format!("bytes */{size}"))
        {
            response.headers_mut().insert(CONTENT_RANGE, whole);
        }
        if let Self::JobGoesOn { job, .. } = self
            && let Ok(place) = HeaderValue::try_from(format!("/api/v1/generations/{job}"))
        {
            response.headers_mut().insert(LOCATION, place);
        }
        response
    }

    /// Whether it says what became of the job that a request was.
    pub(super) fn tells_of_a_job(&self) -> bool {
        matches!(self, Self::JobGoesOn { .. }) || self.tells_of_a_failed_job()
    }

    /// Whether that job has failed, which stays so.
    pub(super) fn tells_of_a_failed_job(&self) -> bool {
        matches!(self, Self::Service(ServiceError::JobFailed { .. }))
    }

    /// Whether a body did not come although it was waited for.
    pub(super) fn is_about_silence(&self) -> bool {
        matches!(self, Self::BodyIdle { .. } | Self::BodyBroken(_))
    }

    fn leaves_a_body_unread(&self) -> bool {
        matches!(
            self,
            Self::BodyTooLarge { .. }
                | Self::FormOverhead { .. }
                | Self::Service(
                    ServiceError::QuotaExceeded { .. }
                        | ServiceError::StillLeaving { .. }
                        | ServiceError::DiskLow
                )
        )
    }

    /// The error object alone, for an event in a stream.
    pub(super) fn object(&self, dialect: Dialect, request_id: &str) -> Vec<u8> {
        shapes::object(&self.told(), dialect, request_id)
    }
}
