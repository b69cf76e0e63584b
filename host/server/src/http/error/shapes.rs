//! The three shapes of an error.

use std::time::{SystemTime, UNIX_EPOCH};

use atelier_domain::time::Timestamp;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::json;

use super::{Dialect, Told};
use crate::http::answer;

pub(super) fn respond(told: &Told, dialect: Dialect, request_id: &str) -> Response {
    let content_type = match dialect {
        Dialect::OpenAi | Dialect::Anthropic => "application/json",
        Dialect::Problem => "application/problem+json",
    };
    let body = Bytes::from(object(told, dialect, request_id));
    let mut response = answer::bytes(told.status, HeaderValue::from_static(content_type), body);
    let headers = response.headers_mut();
    if let Some(after) = told.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(answer::seconds_up(after)));
    }
    if told.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(helps) = retry_helps(told) {
        let word = HeaderValue::from_static(if helps { "true" } else { "false" });
        headers.insert(HeaderName::from_static("x-should-retry"), word);
    }
    response
}

pub(super) fn object(told: &Told, dialect: Dialect, request_id: &str) -> Vec<u8> {
    let value = match dialect {
        Dialect::OpenAi => json!({"error": {
            "message": told.message, "type": openai_type(told.status), "param": told.param, "code": told.code,
            "request_id": request_id, "time": now().unix_seconds(),
        }}),
        Dialect::Anthropic => json!({
            "type": "error",
            "error": {"type": anthropic_type(told.status), "message": told.message, "code": told.code},
            "request_id": request_id,
        }),
        Dialect::Problem => json!({
            "type": "about:blank", "title": told.status.canonical_reason().unwrap_or("Error"),
            "status": told.status.as_u16(), "detail": told.message, "code": told.code, "param": told.param,
            "request_id": request_id, "time": now().rfc3339(),
        }),
    };
    value.to_string().into_bytes()
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Whether the same request can succeed later. Client libraries retry 408, 409, 429 and 5xx by themselves unless they are told;
/// `None` leaves it to them.
fn retry_helps(told: &Told) -> Option<bool> {
    match (told.status.as_u16(), told.code) {
        // Nothing changes until the operator acts, or the request is sent another way.
        (
            _,
            "provider_quota_exhausted"
            | "provider_auth_failed"
            | "provider_misconfigured"
            | "plugin_limit_reached"
            | "plugin_denied"
            | "already_exists"
            | "canceled",
        ) => Some(false),
        // It may have been paid for already.
        (_, "outcome_unknown" | "deadline_exceeded") => Some(false),
        (408 | 409 | 429 | 502 | 503 | 504, _) => Some(true),
        (400..=499 | 508, _) => Some(false),
        _ => None,
    }
}

fn openai_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500..=599 => "server_error",
        _ => "invalid_request_error",
    }
}

fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_whether_to_try_again() {
        let told = |status, code| retry_helps(&Told::new(status, code, ""));
        assert_eq!(told(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"), Some(true));
        assert_eq!(told(StatusCode::SERVICE_UNAVAILABLE, "provider_overloaded"), Some(true));
        assert_eq!(told(StatusCode::CONFLICT, "conflict"), Some(true));
        assert_eq!(told(StatusCode::BAD_REQUEST, "invalid_value"), Some(false));
        assert_eq!(told(StatusCode::UNAUTHORIZED, "invalid_api_key"), Some(false));
        assert_eq!(told(StatusCode::SERVICE_UNAVAILABLE, "provider_quota_exhausted"), Some(false));
        assert_eq!(told(StatusCode::BAD_GATEWAY, "outcome_unknown"), Some(false));
        assert_eq!(told(StatusCode::INTERNAL_SERVER_ERROR, "internal_error"), None);
    }
}
