//! Bodies of answers, read once and in order, with the secrets blanked out.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::trace::Span;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::client::EgressError;
use super::scrub::{Patterns, Scrubber};
use crate::traffic::OpenRequest;

/// A body on its way in. Dropped before its end, it closes the connection, which tells the upstream to stop.
#[derive(Debug)]
pub struct IncomingBody {
    body: Option<Incoming>,
    scrubber: Scrubber,
    /// Read and scrubbed, but not asked for yet.
    ready: Bytes,
    content_type: Option<String>,
    idle: Duration,
    /// Counts as open until the body is dropped.
    open: Option<OpenRequest>,
    /// Ends with the body.
    span: Option<Span>,
}

impl IncomingBody {
    pub(super) fn new(
        body: Incoming,
        patterns: Arc<Patterns>,
        content_type: Option<String>,
        idle: Duration,
    ) -> Self {
        Self {
            body: Some(body),
            scrubber: Scrubber::new(patterns),
            ready: Bytes::new(),
            content_type,
            idle,
            open: None,
            span: None,
        }
    }

    /// Keeps a request open for as long as its body is held.
    pub fn keep(&mut self, open: OpenRequest) {
        self.open = Some(open);
    }

    /// Ends the request's span when the body has been read or is dropped.
    pub(super) fn traced(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// The answer's media type.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The length that the answer's head promised, if it did.
    pub fn promised_length(&self) -> Option<u64> {
        self.body.as_ref().and_then(|body| http_body::Body::size_hint(body).exact())
    }

    /// Waits for more; `max` bytes at most, not zero; `None` at the end.
    ///
    /// # Errors
    /// The connection broke or stood still for too long.
    pub async fn read(&mut self, max: usize) -> Result<Option<Bytes>, EgressError> {
        while self.ready.is_empty() {
            let Some(body) = &mut self.body else { return Ok(None) };
            let Ok(frame) = tokio::time::timeout(self.idle, body.frame()).await else {
                return Err(self.broken(EgressError::Timeout { what: "the next byte", limit: self.idle }));
            };
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.ready = self.scrubber.push(data);
                    }
                }
                Some(Err(error)) => {
                    self.body = None;
                    return Err(self.broken(EgressError::Reset(deepest(&error))));
                }
                None => {
                    self.body = None;
                    self.span = None;
                    self.ready = self.scrubber.finish();
                }
            }
        }
        Ok(Some(self.ready.split_to(self.ready.len().min(max.max(1)))))
    }

    fn broken(&mut self, error: EgressError) -> EgressError {
        if let Some(mut span) = self.span.take() {
            span.failed(Some(error.code().into()));
        }
        error
    }
}

fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
