//! The provider's error documents (<https://platform.claude.com/docs/en/api/errors>).

use atelier_plugin_sdk::{Failure, failure::code};
use serde::Deserialize;
use serde_json::value::RawValue;

/// `{"type": "error", "error": {…}}`.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    error: &'a RawValue,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    message: String,
}

/// A failure known by its status, with what the error document adds.
pub fn explained(mut failure: Failure, body: &[u8]) -> Failure {
    let Ok(text) = std::str::from_utf8(body) else { return failure };
    let Ok(document) = serde_json::from_str::<Document<'_>>(text) else { return failure };
    if let Ok(detail) = serde_json::from_str(document.error.get()) {
        apply(&mut failure, detail);
    }
    failure.with_detail(text)
}

/// A failure told in the middle of a stream: `object` is the error object alone.
pub fn reported(object: &str) -> Failure {
    let mut failure = Failure::new(code::UNAVAILABLE, "the provider broke off with an error");
    if let Ok(detail) = serde_json::from_str(object) {
        apply(&mut failure, detail);
    }
    failure.with_detail(object)
}

fn apply(failure: &mut Failure, detail: Detail) {
    if let Some(code) = meaning(&detail) {
        failure.code = code.to_owned();
    }
    // What the provider says about keys may quote parts of them, and is the operator's business.
    let about_keys = matches!(failure.code.as_str(), code::UNAUTHENTICATED | code::FORBIDDEN);
    if about_keys || detail.message.is_empty() {
        return;
    }
    failure.param = field(&detail.message).map(str::to_owned);
    failure.message = detail.message;
}

/// The failure word for one of the documented error types.
fn meaning(detail: &Detail) -> Option<&'static str> {
    let says = |words: &str| detail.message.starts_with(words);
    Some(match detail.kind.as_str() {
        "invalid_request_error" if says("prompt is too long") => code::TOO_LARGE,
        "invalid_request_error" if says("Your credit balance is too low") => code::QUOTA_EXHAUSTED,
        "invalid_request_error" => code::INVALID_REQUEST,
        "authentication_error" => code::UNAUTHENTICATED,
        "billing_error" => code::QUOTA_EXHAUSTED,
        "permission_error" => code::FORBIDDEN,
        "not_found_error" => code::NOT_FOUND,
        "request_too_large" => code::TOO_LARGE,
        "rate_limit_error" => code::RATE_LIMITED,
        "timeout_error" => code::TIMEOUT,
        "overloaded_error" => code::OVERLOADED,
        "api_error" => code::UNAVAILABLE,
        _ => return None,
    })
}

/// The field that a message such as `messages.0.content: Field required` begins with.
fn field(message: &str) -> Option<&str> {
    let (path, _) = message.split_once(": ")?;
    let is_path = !path.is_empty()
        && path.len() <= 200
        && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
    is_path.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, kind: &str, message: &str) -> Failure {
        let body = format!(
            r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_1"}}"#
        );
        explained(Failure::from_status(status, &[]), body.as_bytes())
    }

    #[test]
    fn every_documented_type_has_a_failure_word() {
        for (status, kind, expected) in [
            (400, "invalid_request_error", "invalid-request"),
            (401, "authentication_error", "unauthenticated"),
            (402, "billing_error", "quota-exhausted"),
            (403, "permission_error", "forbidden"),
            (404, "not_found_error", "not-found"),
            (413, "request_too_large", "too-large"),
            (429, "rate_limit_error", "rate-limited"),
            (500, "api_error", "unavailable"),
            (504, "timeout_error", "timeout"),
            (529, "overloaded_error", "overloaded"),
        ] {
            let failure = failure(status, kind, "why");
            assert_eq!((failure.code.as_str(), failure.http_status), (expected, Some(status)), "{kind}");
            assert!(failure.provider_detail.is_some());
        }
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let failure = failure(400, "invalid_request_error", "messages.0.content: Field required");
        assert_eq!(failure.param.as_deref(), Some("messages.0.content"));
        assert_eq!(failure.message, "messages.0.content: Field required");
        assert_eq!(field("something went wrong: try again"), None);
    }

    #[test]
    fn long_prompts_and_empty_accounts_are_told_from_malformed_requests() {
        let long =
            failure(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum");
        assert_eq!((long.code.as_str(), long.param), ("too-large", None));
        let empty =
            failure(400, "invalid_request_error", "Your credit balance is too low to access the Claude API.");
        assert_eq!(empty.code, "quota-exhausted");
    }

    #[test]
    fn a_refused_key_is_never_quoted_to_the_caller() {
        let failure = failure(401, "authentication_error", "invalid x-api-key sk-ant-abc");
        assert!(!failure.message.contains("sk-ant"), "{}", failure.message);
    }

    #[test]
    fn what_is_no_error_document_leaves_the_status_to_speak() {
        let failure = explained(Failure::from_status(502, &[]), b"<html>Bad gateway</html>");
        assert_eq!((failure.code.as_str(), failure.provider_detail), ("unavailable", None));
        let strange = explained(Failure::from_status(500, &[]), br#"{"error":"x"}"#);
        assert_eq!(strange.code, "unavailable");
    }
}
