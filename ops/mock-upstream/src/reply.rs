//! An answer before it meets the wire: finite, whole, and open to being spoilt by a fault.

mod body;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;

pub(crate) use body::{Last, MockBody, Pacing};

/// What a handler answers.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: Vec<(&'static str, String)>,
    pub body: ReplyBody,
    /// Whether a provider would charge for this answer.
    pub charged: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum ReplyBody {
    /// Sent with a length.
    Whole(Bytes),
    /// Sent chunked, each piece in its own chunk.
    Pieces(Vec<Bytes>),
}

/// A handler's answer; the error side is an answer too.
pub(crate) type Answer = Result<Reply, Reply>;

impl Reply {
    pub fn json(value: &Value) -> Self {
        Self::json_with(StatusCode::OK, value)
    }

    pub fn json_with(status: StatusCode, value: &Value) -> Self {
        Self::bytes(status, "application/json", value.to_string())
    }

    pub fn bytes(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: ReplyBody::Whole(body.into()), charged: false }
    }

    pub fn pieces(content_type: &str, pieces: Vec<Bytes>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status: StatusCode::OK, headers, body: ReplyBody::Pieces(pieces), charged: false }
    }

    /// Server-sent events, as the WHATWG HTML standard frames them.
    pub fn events(pieces: Vec<Bytes>) -> Self {
        Self::pieces("text/event-stream; charset=utf-8", pieces).header("cache-control", "no-cache")
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Mark as work that a provider would charge for.
    pub fn charged(mut self) -> Self {
        self.charged = true;
        self
    }

    pub fn streams(&self) -> bool {
        matches!(self.body, ReplyBody::Pieces(_))
    }
}

/// An unnamed event: `data: {…}`.
pub(crate) fn data(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

/// A named event: `event: …` and `data: {…}`.
pub(crate) fn event(name: &str, value: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {value}\n\n"))
}

/// Carries the reply through axum to the gate, which builds the real response.
impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}
