//! The provider's error documents, problem details in the manner of RFC 9457: `{title, detail, status}`.

use atelier_plugin_sdk::{Failure, failure::code};
use serde::Deserialize;

#[derive(Deserialize)]
struct Document {
    title: Option<String>,
    detail: Option<String>,
    invalid_fields: Option<Vec<Field>>,
    /// Seconds, beside the header of that name.
    retry_after: Option<f64>,
}

#[derive(Deserialize)]
struct Field {
    field: Option<String>,
    description: Option<String>,
}

/// A failure known by its status, with what the error document adds.
pub fn explained(mut failure: Failure, body: &[u8]) -> Failure {
    let Ok(text) = std::str::from_utf8(body) else { return failure };
    let Ok(document) = serde_json::from_str::<Document>(text) else { return failure };
    if let Some(seconds) = document.retry_after.filter(|seconds| *seconds >= 0.0) {
        failure.retry_after_ms = failure.retry_after_ms.or(Some((seconds * 1000.0).ceil() as u64));
    }
    // What the provider says about tokens and bills is the operator's business.
    let for_operator =
        matches!(failure.code.as_str(), code::UNAUTHENTICATED | code::FORBIDDEN | code::QUOTA_EXHAUSTED);
    if !for_operator {
        let field = document.invalid_fields.unwrap_or_default().into_iter().next();
        let (field, why) = field.map_or((None, None), |field| (field.field, field.description));
        failure.param = field.as_deref().map(param);
        let told = document.detail.or(why).or(document.title).filter(|told| !told.trim().is_empty());
        if let Some(told) = told {
            failure.message = told.trim().to_owned();
        }
    }
    failure.with_detail(text)
}

/// A field of the provider's body as the caller knows it: the inputs of a model are the options.
fn param(field: &str) -> String {
    match field.strip_prefix("input.") {
        Some(input) => ["options.", input].concat(),
        None => field.to_owned(),
    }
}

/// Why a prediction failed, told in its `error`: most often the model's own words.
pub fn failed(error: &str) -> Failure {
    let lower = error.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let code = if has(&["nsfw", "flagged as sensitive", "content policy", "safety", "(e005)"]) {
        code::CONTENT_REFUSED
    } else if has(&["out of memory"]) {
        code::TOO_LARGE
    } else {
        code::UNAVAILABLE
    };
    let message = if error.trim().is_empty() { "the model failed without saying why" } else { error.trim() };
    Failure::new(code, message.chars().take(MESSAGE_CHARACTERS_MAX).collect::<String>())
}

/// Models put whole stack traces into their errors.
const MESSAGE_CHARACTERS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, body: &str) -> Failure {
        explained(Failure::from_status(status, &[]), body.as_bytes())
    }

    #[test]
    fn a_problem_document_says_why_and_where() {
        let body = r#"{"title":"Input validation failed","detail":"- input.prompt: Field required\n","status":422,"invalid_fields":[{"type":"required","field":"input.prompt","description":"Field required"}]}"#;
        let failure = failure(422, body);
        assert_eq!(failure.code, "invalid-request");
        assert_eq!(failure.message, "- input.prompt: Field required");
        assert_eq!(failure.param.as_deref(), Some("options.prompt"));
        assert_eq!(failure.provider_detail.as_deref(), Some(body));
    }

    #[test]
    fn a_rate_limit_says_how_long() {
        let body =
            r#"{"title":"Too many requests","detail":"Request was throttled.","status":429,"retry_after":6}"#;
        let failure = failure(429, body);
        assert_eq!((failure.code.as_str(), failure.retry_after_ms), ("rate-limited", Some(6_000)));
    }

    #[test]
    fn tokens_and_bills_are_the_operator_s_business() {
        let token =
            failure(401, r#"{"title":"Unauthenticated","detail":"Invalid token r8_abc","status":401}"#);
        assert!(!token.message.contains("r8_"), "{}", token.message);
        let bill = failure(402, r#"{"title":"Insufficient credit","detail":"See billing","status":402}"#);
        assert_eq!(bill.code, "quota-exhausted");
        assert!(!bill.message.contains("billing"));
        assert!(bill.provider_detail.is_some());
    }

    #[test]
    fn a_refused_prediction_is_told_from_a_failed_one() {
        assert_eq!(failed("NSFW content detected. Try a different prompt.").code, "content-refused");
        assert_eq!(failed("CUDA out of memory").code, "too-large");
        assert_eq!(failed("KeyError").code, "unavailable");
        assert_eq!(failed(" ").message, "the model failed without saying why");
        assert_eq!(failed(&"x".repeat(5_000)).message.len(), MESSAGE_CHARACTERS_MAX);
    }

    #[test]
    fn what_is_no_problem_document_leaves_the_status_to_speak() {
        let page = failure(502, "<html>Bad gateway</html>");
        assert_eq!((page.code.as_str(), page.provider_detail), ("unavailable", None));
    }
}
