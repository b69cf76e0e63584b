//! Heads and bodies of answers.

use std::time::Duration;

use atelier_service::limits::Decision;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::gate::ascii;
use super::{ApiError, Reply};

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A JSON answer.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Reply, ApiError> {
    json_with(StatusCode::OK, value)
}

/// A JSON answer with a status.
pub(super) fn json_with<T: Serialize>(status: StatusCode, value: &T) -> Result<Reply, ApiError> {
    let mut buffer = Vec::with_capacity(1024);
    serde_json::to_writer(&mut buffer, value)
        .map_err(|error| ApiError::bug(format!("an answer is no JSON: {error}")))?;
    Ok(bytes(status, APPLICATION_JSON, buffer.into()).into())
}

/// An answer of bytes.
pub(super) fn bytes(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

impl Reply {
    /// With the model that answered (`instance/model`): an alias may lead to several.
    pub(super) fn by(mut self, model: &str) -> Self {
        if let Ok(model) = HeaderValue::from_str(model) {
            self.response.headers_mut().insert(HeaderName::from_static("x-atelier-model"), model);
        }
        self
    }

    /// With the provider's time.
    pub(super) fn after(mut self, provider_time: Duration) -> Self {
        self.provider_time = Some(provider_time);
        self
    }
}

/// `x-ratelimit-*` as OpenAI writes them, and `RateLimit`, `RateLimit-Policy` (IETF draft "RateLimit header fields").
pub(super) fn limit_headers(headers: &mut HeaderMap, decision: &Decision) {
    headers.insert(HeaderName::from_static("x-ratelimit-limit-requests"), HeaderValue::from(decision.limit));
    headers.insert(
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderValue::from(decision.remaining),
    );
    let reset = decision.reset.as_millis();
    headers.insert(HeaderName::from_static("x-ratelimit-reset-requests"), ascii(&format!("{reset}ms")));
    let (class, window) = (decision.class.as_str(), decision.window.as_secs());
    let seconds = seconds_up(decision.retry_after.unwrap_or(decision.reset));
    let now = format!("\"{class}\";r={};t={seconds}", decision.remaining);
    headers.insert(HeaderName::from_static("ratelimit"), ascii(&now));
    let policy = format!("\"{class}\";q={};w={window}", decision.limit);
    headers.insert(HeaderName::from_static("ratelimit-policy"), ascii(&policy));
}

/// Whole seconds, rounded up, as `retry-after` wants them.
pub(super) fn seconds_up(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

/// What every answer to a caller has: its request's id, and what keeps browsers from guessing.
pub(super) fn common_headers(headers: &mut HeaderMap, request_id: &str) {
    let request_id = ascii(request_id);
    headers.insert(HeaderName::from_static("x-request-id"), request_id.clone());
    // The name under which Anthropic's clients look for it.
    headers.insert(HeaderName::from_static("request-id"), request_id);
    guarded(headers);
}

/// What keeps browsers from guessing, framing, telling others and keeping (E-4).
pub(crate) fn guarded(headers: &mut HeaderMap) {
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static("x-frame-options"), HeaderValue::from_static("DENY"));
    headers.insert(HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer"));
    let policy = HeaderName::from_static("content-security-policy");
    headers.entry(policy).or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=()"),
    );
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
