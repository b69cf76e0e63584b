//! An answer that comes at once.

use super::logprobs::Logprobs;
use crate::usage::Usage;
use atelier_plugin_sdk::chat::{ChatEvent, FinishReason, Started, ToolCallDelta, ToolCallStart};
use atelier_plugin_sdk::{Failure, Other, json};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
    usage: Option<Usage>,
    #[serde(borrow)]
    moderation: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: Message<'a>,
    finish_reason: Option<String>,
    logprobs: Option<Logprobs>,
}

#[derive(Deserialize)]
struct Message<'a> {
    content: Option<String>,
    refusal: Option<String>,
    /// What compatible servers call a model's thinking.
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolCall {
    id: Option<String>,
    function: Function,
    extra_content: Option<ExtraContent>,
}

/// Where Google's compatible API keeps a call's thought signature
/// (<https://ai.google.dev/gemini-api/docs/openai>).
#[derive(Deserialize)]
pub struct ExtraContent {
    google: Option<GoogleExtra>,
}

#[derive(Deserialize)]
struct GoogleExtra {
    thought_signature: Option<String>,
}

impl ExtraContent {
    /// The signature of the call.
    pub fn signature(self) -> Option<String> {
        self.google?.thought_signature
    }
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: String,
}

/// A completion's body as the events of a good answer.
pub fn events(body: &[u8]) -> Result<Vec<ChatEvent>, Failure> {
    let completion: Completion<'_> = json::parse(body)?;
    let Some(choice) = completion.choices.into_iter().next() else {
        return Err(Failure::bad_response("the provider's answer has no choices"));
    };
    let Some(reason) = choice.finish_reason else {
        return Err(Failure::bad_response("the provider's answer does not say why it ended"));
    };
    let message = choice.message;
    let mut events = Vec::with_capacity(5);
    events.push(ChatEvent::Started(Started { id: completion.id, model: completion.model }));
    let thinking = message.reasoning_content.or(message.reasoning);
    events.extend(thinking.filter(|text| !text.is_empty()).map(super::delta::thinking));
    events.extend(message.content.filter(|text| !text.is_empty()).map(ChatEvent::Text));
    events.extend(message.refusal.filter(|text| !text.is_empty()).map(ChatEvent::Refusal));
    for (index, call) in (0..).zip(message.tool_calls.into_iter().flatten()) {
        let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| call_id(index));
        let signature = call.extra_content.and_then(ExtraContent::signature);
        let start = ToolCallStart { index, id, name: call.function.name, signature };
        events.push(ChatEvent::ToolCallStart(start));
        if !call.function.arguments.is_empty() {
            events
                .push(ChatEvent::ToolCallDelta(ToolCallDelta { index, arguments: call.function.arguments }));
        }
    }
    events.extend(choice.logprobs.and_then(Logprobs::event));
    events.extend(other("openai.annotations", message.annotations));
    events.extend(other("openai.audio", message.audio));
    events.extend(other("openai.moderation", completion.moderation));
    events.push(ChatEvent::Finished(finish_reason(reason)));
    events.extend(completion.usage.map(|usage| ChatEvent::Usage(usage.lines())));
    Ok(events)
}

/// Something the contract has no shape for, unless it is empty.
pub fn other(kind: &str, json: Option<&RawValue>) -> Option<ChatEvent> {
    let json = json.map(RawValue::get).filter(|json| !matches!(*json, "[]" | "{}"))?;
    Some(ChatEvent::Other(Other { kind: kind.to_owned(), json: json.to_owned() }))
}

/// An id for a call to which a compatible server gave none: results have to name the call.
pub fn call_id(index: u32) -> String {
    ["call_", &index.to_string()].concat()
}

/// The contract's word for a `finish_reason`.
pub fn finish_reason(reason: String) -> FinishReason {
    match reason.as_str() {
        "stop" => FinishReason::Stop,
        "length" => FinishReason::Length,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::ContentFilter,
        _ => FinishReason::Other(reason),
    }
}

#[cfg(test)]
mod tests;
