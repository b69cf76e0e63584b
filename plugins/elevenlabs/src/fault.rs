//! The provider's error documents: `{"detail": {"status", "message"}}`, `{"detail": [{"loc", "msg"}]}` or `{"detail": "…"}`.

use atelier_plugin_sdk::{Failure, failure::code};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Document {
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Detail {
    Reason(Reason),
    Fields(Vec<Field>),
    Text(String),
}

#[derive(Deserialize)]
struct Reason {
    /// A word; newer documents have it in `code`.
    status: Option<String>,
    code: Option<String>,
    message: Option<String>,
    param: Option<String>,
}

#[derive(Deserialize)]
struct Field {
    #[serde(default)]
    loc: Vec<Value>,
    #[serde(default)]
    msg: String,
}

/// A failure known by its status, with what the error document adds.
pub fn explained(mut failure: Failure, body: &[u8]) -> Failure {
    let Ok(text) = std::str::from_utf8(body) else { return failure };
    let Ok(document) = serde_json::from_str::<Document>(text) else { return failure };
    let (word, message, param) = match document.detail {
        Detail::Reason(reason) => (reason.status.or(reason.code), reason.message, reason.param),
        Detail::Fields(fields) => match fields.into_iter().next() {
            Some(field) => (None, Some(field.msg), path(&field.loc)),
            None => (None, None, None),
        },
        Detail::Text(text) => (None, Some(text), None),
    };
    if let Some(code) = word.as_deref().and_then(meaning) {
        failure.code = code.to_owned();
    }
    // What the provider says about keys may quote parts of them, and is the operator's business.
    let about_keys = matches!(failure.code.as_str(), code::UNAUTHENTICATED | code::FORBIDDEN);
    if let Some(message) = message.filter(|message| !about_keys && !message.is_empty()) {
        failure.message = message;
    }
    failure.param = param.or_else(|| word.as_deref().and_then(field).map(str::to_owned));
    failure.with_detail(text)
}

/// `["body", "voice_settings", "speed"]` as `voice_settings.speed`.
fn path(place: &[Value]) -> Option<String> {
    let segments: Vec<String> = place
        .iter()
        .skip_while(|segment| matches!(segment.as_str(), Some("body" | "query" | "path")))
        .map(|segment| segment.as_str().map_or_else(|| segment.to_string(), str::to_owned))
        .collect();
    (!segments.is_empty()).then(|| segments.join("."))
}

/// The failure word for one of the provider's.
fn meaning(word: &str) -> Option<&'static str> {
    Some(match word {
        "quota_exceeded" | "insufficient_credits" => code::QUOTA_EXHAUSTED,
        "invalid_api_key" | "needs_authorization" => code::UNAUTHENTICATED,
        "missing_permissions" | "detected_unusual_activity" => code::FORBIDDEN,
        "too_many_concurrent_requests" | "rate_limit_exceeded" | "concurrent_limit_exceeded" => {
            code::RATE_LIMITED
        }
        "system_busy" => code::OVERLOADED,
        "voice_not_found" | "model_not_found" | "not_found" => code::NOT_FOUND,
        "max_character_limit_exceeded" | "text_too_long" => code::TOO_LARGE,
        "output_format_not_allowed" | "unsupported_language" => code::UNSUPPORTED,
        "content_against_policy" | "text_blocked" => code::CONTENT_REFUSED,
        _ => return None,
    })
}

/// The request's field that a word is about.
fn field(word: &str) -> Option<&'static str> {
    Some(match word {
        "voice_not_found" => "voice",
        "model_not_found" => "model",
        "max_character_limit_exceeded" | "text_too_long" => "text",
        "output_format_not_allowed" => "format",
        "unsupported_language" => "language",
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
    fn an_error_document_names_reason_and_field() {
        let body =
            r#"{"detail":{"status":"voice_not_found","message":"A voice with voice_id x was not found."}}"#;
        let failure = failure(404, body);
        assert_eq!((failure.code.as_str(), failure.param.as_deref()), ("not-found", Some("voice")));
        assert_eq!(failure.message, "A voice with voice_id x was not found.");
        assert_eq!(failure.provider_detail.as_deref(), Some(body));
    }

    #[test]
    fn an_invalid_field_is_named_by_its_path() {
        let body = r#"{"detail":[{"loc":["body","voice_settings","speed"],"msg":"too fast","type":"x"}]}"#;
        let failure = failure(422, body);
        assert_eq!((failure.code.as_str(), failure.message.as_str()), ("invalid-request", "too fast"));
        assert_eq!(failure.param.as_deref(), Some("voice_settings.speed"));
    }

    #[test]
    fn an_empty_account_is_told_from_a_refused_key() {
        let empty = failure(
            401,
            r#"{"detail":{"status":"quota_exceeded","message":"This request exceeds your quota."}}"#,
        );
        assert_eq!((empty.code.as_str(), empty.http_status), ("quota-exhausted", Some(401)));
        let key =
            failure(401, r#"{"detail":{"status":"invalid_api_key","message":"Invalid API key sk_abc"}}"#);
        assert_eq!(key.code, "unauthenticated");
        assert!(!key.message.contains("sk_"), "{}", key.message);
    }

    #[test]
    fn a_busy_provider_is_told_from_too_many_calls() {
        let body = |word: &str| format!(r#"{{"detail":{{"status":"{word}","message":"m"}}}}"#);
        assert_eq!(failure(429, &body("system_busy")).code, "overloaded");
        assert_eq!(failure(429, &body("too_many_concurrent_requests")).code, "rate-limited");
        assert_eq!(failure(400, &body("max_character_limit_exceeded")).code, "too-large");
        assert_eq!(failure(400, &body("something_new")).code, "invalid-request");
    }

    #[test]
    fn other_documents_leave_the_status_to_speak() {
        assert_eq!(failure(404, r#"{"detail":"Not Found"}"#).message, "Not Found");
        let page = failure(502, "<html>Bad gateway</html>");
        assert_eq!((page.code.as_str(), page.provider_detail), ("unavailable", None));
    }
}
