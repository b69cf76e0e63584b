//! An answer that comes in pieces.

use super::answer::{self, ExtraContent, call_id, finish_reason};
use super::logprobs::Logprobs;
use crate::fault;
use crate::usage::Usage;
use atelier_plugin_sdk::chat::{ChatEvent, FinishReason, Started, Thinking, ToolCallDelta, ToolCallStart};
use atelier_plugin_sdk::{Failure, failure::code, json};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Chunk<'a> {
    id: Option<String>,
    model: Option<String>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    usage: Option<Usage>,
    #[serde(borrow)]
    moderation: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    finish_reason: Option<String>,
    logprobs: Option<Logprobs>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    content: Option<String>,
    refusal: Option<String>,
    /// What compatible servers call a model's thinking.
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    tool_calls: Option<Vec<Call>>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Call {
    index: Option<u32>,
    id: Option<String>,
    function: Option<Function>,
    extra_content: Option<ExtraContent>,
}

#[derive(Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

/// How far a stream has come.
#[derive(Debug, Default)]
pub struct State {
    started: bool,
    /// The provider's numbers of the tool calls so far; a place in this list is a call's index.
    calls: Vec<u32>,
    /// Sent on only when the stream is whole.
    finished: Option<FinishReason>,
    usage: Option<Usage>,
    whole: bool,
}

impl State {
    /// Take the data of one event, and add what it says to `events`.
    pub fn take(&mut self, data: &str, events: &mut Vec<ChatEvent>) -> Result<(), Failure> {
        if self.whole {
            return Ok(());
        }
        if data == "[DONE]" {
            let reason = self.finished.take().ok_or_else(broken_off)?;
            self.whole = true;
            events.push(ChatEvent::Finished(reason));
            events.extend(self.usage.take().map(|usage| ChatEvent::Usage(usage.lines())));
            return Ok(());
        }
        let chunk: Chunk<'_> = json::parse_text(data)?;
        if let Some(error) = chunk.error {
            return Err(fault::reported(error.get()));
        }
        if !self.started {
            self.started = true;
            let (id, model) = (chunk.id.unwrap_or_default(), chunk.model.unwrap_or_default());
            events.push(ChatEvent::Started(Started { id, model }));
        }
        // One answer was asked for.
        for choice in chunk.choices.into_iter().flatten().filter(|choice| choice.index == 0) {
            self.take_choice(choice, events);
        }
        events.extend(answer::other("openai.moderation", chunk.moderation));
        if chunk.usage.is_some() {
            self.usage = chunk.usage;
        }
        Ok(())
    }

    /// The connection has ended.
    ///
    /// # Errors
    /// `unavailable` if the answer had not.
    pub fn end(self) -> Result<(), Failure> {
        if self.whole { Ok(()) } else { Err(broken_off()) }
    }

    fn take_choice(&mut self, choice: Choice<'_>, events: &mut Vec<ChatEvent>) {
        if let Some(delta) = choice.delta {
            let thought = delta.reasoning_content.or(delta.reasoning);
            events.extend(thought.filter(|text| !text.is_empty()).map(thinking));
            events.extend(delta.content.filter(|text| !text.is_empty()).map(ChatEvent::Text));
            events.extend(delta.refusal.filter(|text| !text.is_empty()).map(ChatEvent::Refusal));
            for call in delta.tool_calls.into_iter().flatten() {
                self.take_call(call, events);
            }
            events.extend(answer::other("openai.annotations", delta.annotations));
            events.extend(answer::other("openai.audio", delta.audio));
        }
        events.extend(choice.logprobs.and_then(Logprobs::event));
        if let Some(reason) = choice.finish_reason {
            self.finished = Some(finish_reason(reason));
        }
    }

    fn take_call(&mut self, call: Call, events: &mut Vec<ChatEvent>) {
        let (name, arguments) = match call.function {
            Some(function) => (function.name, function.arguments),
            None => (None, None),
        };
        let id = call.id.filter(|id| !id.is_empty());
        let known = self.calls.iter().rposition(|number| match call.index {
            Some(index) => *number == index,
            // Servers that do not count their calls send each with its id, and whole.
            None => id.is_none(),
        });
        let index = match known {
            Some(place) => place as u32,
            None => {
                let index = self.calls.len() as u32;
                self.calls.push(call.index.unwrap_or(index));
                let id = id.unwrap_or_else(|| call_id(index));
                events.push(ChatEvent::ToolCallStart(ToolCallStart {
                    index,
                    id,
                    name: name.unwrap_or_default(),
                    signature: call.extra_content.and_then(ExtraContent::signature),
                }));
                index
            }
        };
        if let Some(arguments) = arguments.filter(|arguments| !arguments.is_empty()) {
            events.push(ChatEvent::ToolCallDelta(ToolCallDelta { index, arguments }));
        }
    }
}

/// A piece of thinking; this API signs none.
pub fn thinking(text: String) -> ChatEvent {
    ChatEvent::Thinking(Thinking { text, signature: None })
}

fn broken_off() -> Failure {
    Failure::new(code::UNAVAILABLE, "the provider broke off its answer before the end: try again")
}

#[cfg(test)]
mod tests;
