//! What the `anthropic-version` header allows
//! (<https://platform.claude.com/docs/en/api/versioning>).

use serde_json::Value;

use super::invalid;
use crate::call::Call;
use crate::reply::Reply;

/// Parameters that 2026-10-21 no longer takes, at any value.
const REMOVED: [&str; 3] = ["temperature", "top_p", "top_k"];

/// Refuse a request whose version is absent or unknown, or that its version does not allow.
pub(super) fn check(call: &Call) -> Result<(), Reply> {
    match call.header("anthropic-version") {
        None => Err(invalid("anthropic-version: header is required")),
        Some("2023-06-01" | "2023-01-01") => Ok(()),
        Some("2026-10-21") => check_2026_10_21(&call.json),
        Some(other) => Err(invalid(&format!("anthropic-version: \"{other}\" is not a valid version"))),
    }
}

fn check_2026_10_21(request: &Value) -> Result<(), Reply> {
    if let Some(name) = REMOVED.iter().find(|name| request.get(**name).is_some()) {
        return Err(invalid(&format!("{name}: Extra inputs are not permitted")));
    }
    for (at, message) in list(&request["messages"]).iter().enumerate() {
        for block in list(&message["content"]) {
            let refused = match message["role"].as_str() {
                Some("assistant") if block["type"] == "document" => "document blocks are not permitted",
                Some("user") if cites(block) => "citations are not permitted",
                _ => continue,
            };
            return Err(invalid(&format!("messages.{at}.content: {refused} in this role")));
        }
    }
    Ok(())
}

/// Whether a block is a text with citations, or search results that hold one.
fn cites(block: &Value) -> bool {
    match block["type"].as_str() {
        Some("text") => !list(&block["citations"]).is_empty(),
        Some("search_result") => list(&block["content"]).iter().any(cites),
        _ => false,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
