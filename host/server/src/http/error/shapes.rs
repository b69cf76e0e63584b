//! The three shapes of an error.

use std::time::{SystemTime, UNIX_EPOCH};

use atelier_domain::time::Timestamp;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Dialect, Told};
use crate::http::answer;
use crate::http::openapi::words;

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

/// An error as OpenAI's API writes it, with the request's id and the time beside.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct OpenAiError<'a> {
    error: OpenAiErrorObject<'a>,
}

#[derive(Serialize, ToSchema)]
struct OpenAiErrorObject<'a> {
    /// What is wrong and what to do, for people.
    message: &'a str,
    #[schema(inline, value_type = OpenAiErrorType)]
    r#type: &'static str,
    /// The path of the offending member.
    #[schema(required, example = "messages[0].content")]
    param: Option<&'a str>,
    /// A stable word for programs.
    #[schema(example = "model_not_found")]
    code: &'static str,
    request_id: &'a str,
    /// Unix seconds.
    time: u64,
}

/// An error as Anthropic's API writes it.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct AnthropicError<'a> {
    #[schema(inline, value_type = ErrorWord)]
    r#type: &'static str,
    error: AnthropicErrorObject<'a>,
    request_id: &'a str,
}

#[derive(Serialize, ToSchema)]
struct AnthropicErrorObject<'a> {
    #[schema(inline, value_type = AnthropicErrorType)]
    r#type: &'static str,
    /// What is wrong and what to do, for people.
    message: &'a str,
    /// A stable word for programs.
    #[schema(example = "model_not_found")]
    code: &'static str,
}

/// A problem (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Problem<'a> {
    #[schema(inline, value_type = AboutBlank)]
    r#type: &'static str,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong and what to do, for people.
    detail: &'a str,
    /// A stable word for programs.
    #[schema(example = "not_found")]
    code: &'static str,
    /// The path of the offending member.
    #[schema(required)]
    param: Option<&'a str>,
    request_id: &'a str,
    #[schema(format = DateTime)]
    time: String,
}

words! {
    OpenAiErrorType: "invalid_request_error" | "authentication_error" | "insufficient_quota" | "permission_error" | "rate_limit_error"
        | "server_error";
    AnthropicErrorType: "invalid_request_error" | "authentication_error" | "billing_error" | "permission_error" | "not_found_error"
        | "request_too_large" | "rate_limit_error" | "overloaded_error" | "timeout_error" | "api_error";
    ErrorWord: "error";
    AboutBlank: "about:blank";
}

pub(super) fn object(told: &Told, dialect: Dialect, request_id: &str) -> Vec<u8> {
    let (message, code, param) = (told.message.as_str(), told.code, told.param.as_deref());
    match dialect {
        Dialect::OpenAi => {
            let (r#type, time) = (openai_type(told.status), now().unix_seconds());
            written(&OpenAiError {
                error: OpenAiErrorObject { message, r#type, param, code, request_id, time },
            })
        }
        Dialect::Anthropic => {
            let r#type = anthropic_type(told.status);
            let error = AnthropicErrorObject { r#type, message, code };
            written(&AnthropicError { r#type: "error", error, request_id })
        }
        Dialect::Problem => {
            let title = told.status.canonical_reason().unwrap_or("Error");
            let (status, time) = (told.status.as_u16(), now().rfc3339());
            let r#type = "about:blank";
            written(&Problem { r#type, title, status, detail: message, code, param, request_id, time })
        }
    }
}

fn written<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("our own types are JSON, and memory takes all")
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
            | "content_missing"
            | "insufficient_credits"
            | "budget_exceeded"
            | "refund_too_large"
            | "too_many"
            | "canceled",
        ) => Some(false),
        // It may have been paid for already.
        (_, "outcome_unknown" | "deadline_exceeded" | "answer_not_kept" | "generation_goes_on") => {
            Some(false)
        }
        (408 | 409 | 429 | 502 | 503 | 504, _) => Some(true),
        (400..=499 | 508, _) => Some(false),
        _ => None,
    }
}

fn openai_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        // Its own word for a limit of what may be spent, in OpenAI's API.
        402 => "insufficient_quota",
        403 => "permission_error",
        429 => "rate_limit_error",
        500..=599 => "server_error",
        _ => "invalid_request_error",
    }
}

fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
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
        assert_eq!(told(StatusCode::PAYMENT_REQUIRED, "insufficient_credits"), Some(false));
        assert_eq!(told(StatusCode::TOO_MANY_REQUESTS, "budget_exceeded"), Some(false));
        assert_eq!(told(StatusCode::TOO_MANY_REQUESTS, "too_many"), Some(false), "something has to go first");
        assert_eq!(told(StatusCode::INTERNAL_SERVER_ERROR, "internal_error"), None);
    }
}
