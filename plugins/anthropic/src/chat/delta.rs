//! An answer as a stream of events (<https://platform.claude.com/docs/en/build-with-claude/streaming>).

use super::block::{self, Block};
use crate::fault;
use crate::usage::Usage;
use atelier_plugin_sdk::chat::{ChatEvent, FinishReason, Started, ToolCallDelta, ToolCallStart};
use atelier_plugin_sdk::{Failure, failure::code, json};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The most that is gathered of one block that is not passed on in pieces, in bytes.
const GATHERED_BYTES_MAX: usize = 1024 * 1024;
/// The most blocks that are open at once.
const OPEN_BLOCKS_MAX: usize = 64;

/// Any event; its `type` says which members it has.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: String,
    index: Option<u32>,
    message: Option<Opening>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    usage: Option<Usage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Opening {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    usage: Option<Usage>,
}

/// What is added to a block, or to the message.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    thinking: String,
    #[serde(default)]
    signature: String,
    #[serde(default)]
    partial_json: String,
    #[serde(borrow)]
    citation: Option<&'a RawValue>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

/// A block that has started and not stopped.
#[derive(Debug)]
enum Open {
    /// Text or thinking: passed on piece by piece.
    Plain,
    /// A call: its index among the calls, and whether any of its arguments have come.
    Call { index: u32, begun: bool },
    /// A block of the provider's own: gathered.
    Own { kind: String, start: String, input: String },
}

/// How far a stream has come.
#[derive(Debug, Default)]
pub struct State {
    started: bool,
    calls: u32,
    open: BTreeMap<u32, Open>,
    /// Sent on only when the stream is whole.
    finished: Option<FinishReason>,
    stop_sequence: Option<String>,
    usage: Usage,
    whole: bool,
}

impl State {
    /// Take the data of one event, and add what it says to `events`.
    pub fn take(&mut self, data: &str, events: &mut Vec<ChatEvent>) -> Result<(), Failure> {
        if self.whole {
            return Ok(());
        }
        let event: Event<'_> = json::parse_text(data)?;
        match event.kind.as_str() {
            "message_start" => self.start(event.message, events),
            "content_block_start" => self.open(event.index, event.content_block, events)?,
            "content_block_delta" => {
                if let (Some(index), Some(delta)) = (event.index, event.delta) {
                    self.add(index, delta, events)?;
                }
            }
            "content_block_stop" => self.close(event.index, events)?,
            "message_delta" => {
                if let Some(delta) = event.delta {
                    self.finished = delta.stop_reason.map(block::finish_reason).or(self.finished.take());
                    self.stop_sequence = delta.stop_sequence.or(self.stop_sequence.take());
                }
                self.usage.update(event.usage.unwrap_or_default());
            }
            "message_stop" => self.finish(events)?,
            "error" => return Err(event.error.map_or_else(broken_off, |error| fault::reported(error.get()))),
            // `ping`, and what a later API adds.
            _ => {}
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

    fn start(&mut self, opening: Option<Opening>, events: &mut Vec<ChatEvent>) {
        let Some(opening) = opening else { return };
        self.usage.update(opening.usage.unwrap_or_default());
        if !self.started {
            self.started = true;
            events.push(ChatEvent::Started(Started { id: opening.id, model: opening.model }));
        }
    }

    fn open(
        &mut self,
        index: Option<u32>,
        raw: Option<&RawValue>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), Failure> {
        let (Some(index), Some(raw)) = (index, raw) else {
            return Err(Failure::bad_response("the provider began a block without saying which"));
        };
        if self.open.len() >= OPEN_BLOCKS_MAX {
            return Err(Failure::bad_response("the provider began more blocks than it may at once"));
        }
        let found: Block<'_> = json::parse_text(raw.get())?;
        let open = match found.kind.as_str() {
            "text" => {
                events.extend(Some(found.text).filter(|text| !text.is_empty()).map(ChatEvent::Text));
                Open::Plain
            }
            "thinking" => {
                events.extend(block::thinking(found.thinking, found.signature));
                Open::Plain
            }
            "tool_use" => {
                let call = self.calls;
                self.calls += 1;
                let start = ToolCallStart { index: call, id: found.id, name: found.name, signature: None };
                events.push(ChatEvent::ToolCallStart(start));
                Open::Call { index: call, begun: false }
            }
            _ => Open::Own { kind: found.kind, start: raw.get().to_owned(), input: String::new() },
        };
        self.open.insert(index, open);
        Ok(())
    }

    fn add(&mut self, index: u32, delta: Delta<'_>, events: &mut Vec<ChatEvent>) -> Result<(), Failure> {
        match delta.kind.as_str() {
            "text_delta" if !delta.text.is_empty() => events.push(ChatEvent::Text(delta.text)),
            "thinking_delta" | "signature_delta" => {
                events.extend(block::thinking(delta.thinking, delta.signature));
            }
            "input_json_delta" if !delta.partial_json.is_empty() => match self.open.get_mut(&index) {
                Some(Open::Call { index, begun }) => {
                    *begun = true;
                    let (index, arguments) = (*index, delta.partial_json);
                    events.push(ChatEvent::ToolCallDelta(ToolCallDelta { index, arguments }));
                }
                Some(Open::Own { input, .. }) => {
                    if input.len() + delta.partial_json.len() > GATHERED_BYTES_MAX {
                        return Err(Failure::bad_response("the provider sent a block larger than it may be"));
                    }
                    input.push_str(&delta.partial_json);
                }
                Some(Open::Plain) | None => {}
            },
            "citations_delta" => {
                let list = |citation: &RawValue| ["[", citation.get(), "]"].concat();
                events.extend(delta.citation.map(|citation| block::other("citations", list(citation))));
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, index: Option<u32>, events: &mut Vec<ChatEvent>) -> Result<(), Failure> {
        match index.and_then(|index| self.open.remove(&index)) {
            // A call without arguments has an empty object of them.
            Some(Open::Call { index, begun: false }) => {
                events.push(ChatEvent::ToolCallDelta(ToolCallDelta { index, arguments: "{}".to_owned() }));
            }
            Some(Open::Own { kind, start, input }) => {
                let json = if input.is_empty() { start } else { with_input(&start, &input)? };
                events.push(block::other(&kind, json));
            }
            Some(Open::Call { .. } | Open::Plain) | None => {}
        }
        Ok(())
    }

    fn finish(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), Failure> {
        let reason = self.finished.take().ok_or_else(broken_off)?;
        self.whole = true;
        events.extend(self.stop_sequence.take().as_deref().and_then(block::stop_sequence));
        events.push(ChatEvent::Finished(reason));
        events.push(ChatEvent::Usage(self.usage.lines()));
        Ok(())
    }
}

/// A block's start with the input that came after it.
fn with_input(start: &str, input: &str) -> Result<String, Failure> {
    let malformed = || Failure::bad_response("the provider sent a block with a malformed input");
    let input: &RawValue = serde_json::from_str(input).map_err(|_| malformed())?;
    let mut text: json::Text<'_> = json::Text::new();
    text.begin_object();
    for member in json::members(start).ok_or_else(malformed)? {
        if member.name != "input" {
            text.key(&member.name).raw(member.value);
        }
    }
    text.key("input").raw(input.get()).end_object();
    text.into_string().ok_or_else(malformed)
}

fn broken_off() -> Failure {
    Failure::new(code::UNAVAILABLE, "the provider broke off its answer before the end: try again")
}

#[cfg(test)]
mod tests;
