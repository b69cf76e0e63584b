//! The content blocks that come from the provider, and why an answer ended.

use atelier_plugin_sdk::Other;
use atelier_plugin_sdk::chat::{ChatEvent, FinishReason, Thinking};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A block, or the start of one.
#[derive(Deserialize)]
pub struct Block<'a> {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub text: String,
    #[serde(default)]
    pub thinking: String,
    #[serde(default)]
    pub signature: String,
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub name: String,
    #[serde(borrow)]
    pub input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub citations: Option<&'a RawValue>,
}

/// Thinking and its proof of origin, as far as they are there.
pub fn thinking(text: String, signature: String) -> Option<ChatEvent> {
    let signature = Some(signature).filter(|signature| !signature.is_empty());
    (!text.is_empty() || signature.is_some()).then_some(ChatEvent::Thinking(Thinking { text, signature }))
}

/// Something of this provider's own: `anthropic.KIND`.
pub fn other(kind: &str, json: impl Into<String>) -> ChatEvent {
    ChatEvent::Other(Other { kind: ["anthropic.", kind].concat(), json: json.into() })
}

/// The place in a text that ended it, which other providers do not tell.
pub fn stop_sequence(sequence: &str) -> Option<ChatEvent> {
    serde_json::to_string(sequence).ok().map(|json| other("stop_sequence", json))
}

/// Why an answer ended (<https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons>).
pub fn finish_reason(reason: String) -> FinishReason {
    match reason.as_str() {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        _ => FinishReason::Other(reason),
    }
}
