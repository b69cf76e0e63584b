//! The provider's error documents.

use atelier_plugin_sdk::{Failure, failure::code};
use serde::Deserialize;
use serde_json::value::RawValue;

/// `{"error": {…}}`, and what compatible servers send instead.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    message: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail<'a> {
    message: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    param: Option<String>,
    /// A word; compatible servers repeat the status here.
    #[serde(borrow)]
    code: Option<&'a RawValue>,
}

/// A failure known by its status, with what the error document adds.
pub fn explained(mut failure: Failure, body: &[u8]) -> Failure {
    let Ok(text) = std::str::from_utf8(body) else { return failure };
    let Ok(document) = serde_json::from_str::<Document<'_>>(text) else { return failure };
    let detail = match document.error.map(RawValue::get) {
        Some(object) if object.starts_with('{') => {
            serde_json::from_str::<Detail<'_>>(object).unwrap_or_default()
        }
        Some(string) => Detail { message: serde_json::from_str(string).ok(), ..Detail::default() },
        None => Detail { message: document.message, ..Detail::default() },
    };
    apply(&mut failure, detail);
    failure.with_detail(text)
}

/// A failure told in the middle of a stream, or as the error of a job: `object` is the error object alone.
pub fn reported(object: &str) -> Failure {
    let mut failure = Failure::new(code::UNAVAILABLE, "the provider broke off with an error");
    if let Ok(detail) = serde_json::from_str::<Detail<'_>>(object) {
        apply(&mut failure, detail);
    }
    failure.with_detail(object)
}

fn apply(failure: &mut Failure, detail: Detail<'_>) {
    let word = detail.code.and_then(|code| serde_json::from_str::<String>(code.get()).ok());
    if let Some(code) = word.as_deref().and_then(meaning).or_else(|| detail.kind.as_deref().and_then(meaning))
    {
        failure.code = code.to_owned();
    }
    // What the provider says about keys quotes parts of them, and is the operator's business.
    let about_keys = matches!(failure.code.as_str(), code::UNAUTHENTICATED | code::FORBIDDEN);
    if let Some(message) = detail.message.filter(|message| !about_keys && !message.is_empty()) {
        failure.message = message;
    }
    failure.param = detail.param.filter(|param| !param.is_empty());
}

/// The failure word for one of OpenAI's error codes or types.
fn meaning(word: &str) -> Option<&'static str> {
    Some(match word {
        "insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active" => code::QUOTA_EXHAUSTED,
        "rate_limit_exceeded" | "requests" | "tokens" => code::RATE_LIMITED,
        "content_policy_violation" | "content_filter" | "moderation_blocked" | "sentinel_block" => {
            code::CONTENT_REFUSED
        }
        "context_length_exceeded" | "string_above_max_length" => code::TOO_LARGE,
        "model_not_found" => code::NOT_FOUND,
        "invalid_api_key" | "account_deactivated" => code::UNAUTHENTICATED,
        "unsupported_country_region_territory" => code::FORBIDDEN,
        "engine_overloaded" | "model_overloaded" | "overloaded_error" => code::OVERLOADED,
        "server_error" => code::UNAVAILABLE,
        _ if word.starts_with("invalid_") => code::INVALID_REQUEST,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, body: &str) -> Failure {
        explained(Failure::from_status(status, &[]), body.as_bytes())
    }

    #[test]
    fn an_error_document_names_the_field_and_the_reason() {
        let body = r#"{"error":{"message":"Invalid value: 'x'.","type":"invalid_request_error","param":"messages[0].role","code":"invalid_value"}}"#;
        let failure = failure(400, body);
        assert_eq!(failure.code, "invalid-request");
        assert_eq!(failure.message, "Invalid value: 'x'.");
        assert_eq!(failure.param.as_deref(), Some("messages[0].role"));
        assert_eq!(failure.http_status, Some(400));
        assert_eq!(failure.provider_detail.as_deref(), Some(body));
    }

    #[test]
    fn an_empty_account_is_told_from_a_rate_limit() {
        let quota = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
        assert_eq!(failure(429, quota).code, "quota-exhausted");
        let limit = r#"{"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
        assert_eq!(failure(429, limit).code, "rate-limited");
    }

    #[test]
    fn a_refused_key_is_never_quoted_to_the_caller() {
        let body = r#"{"error":{"message":"Incorrect API key provided: sk-ab**cd.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
        let failure = failure(401, body);
        assert_eq!(failure.code, "unauthenticated");
        assert!(!failure.message.contains("sk-"), "{}", failure.message);
    }

    #[test]
    fn refusals_and_long_prompts_have_their_own_words() {
        let body = |code: &str| {
            format!(r#"{{"error":{{"message":"m","type":"invalid_request_error","code":"{code}"}}}}"#)
        };
        assert_eq!(failure(400, &body("moderation_blocked")).code, "content-refused");
        assert_eq!(failure(400, &body("context_length_exceeded")).code, "too-large");
        assert_eq!(failure(400, &body("model_not_found")).code, "not-found");
    }

    #[test]
    fn documents_of_compatible_servers_are_read_too() {
        assert_eq!(failure(400, r#"{"error":"no such model"}"#).message, "no such model");
        assert_eq!(failure(404, r#"{"object":"error","message":"gone","code":404}"#).message, "gone");
        assert_eq!(failure(422, r#"{"error":{"message":"bad","code":422}}"#).code, "invalid-request");
        let page = failure(502, "<html>Bad gateway</html>");
        assert_eq!((page.code.as_str(), page.provider_detail), ("unavailable", None));
    }
}
