//! `chat-types`: where a chat answer goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use atelier_domain::generation::chat::{ChatEvent, FinishReason, Thinking};
use tokio::sync::mpsc::Sender;
use wasmtime::component::Resource;

use super::closed;
use crate::blank::{Blank as _, TextScrubber};
use crate::egress::Patterns;
use crate::host_state::CallState;
use crate::v0_1::bindings::host::atelier::provider::chat_types::{self, Closed};
use crate::v0_1::convert;

/// Tool calls whose arguments are scrubbed as streams; those of further ones, piece by piece.
const TOOL_CALLS_MAX: usize = 128;

/// Where a chat answer goes. What it streams is scrubbed as streams: an upstream could tear a secret across events, where the
/// scrubber of the response's bytes does not see it. Its other texts are scrubbed one by one.
#[derive(Debug)]
pub struct ChatSink {
    events: Sender<Vec<ChatEvent>>,
    patterns: Arc<Patterns>,
    text: TextScrubber,
    thinking: TextScrubber,
    refusal: TextScrubber,
    /// Tool calls by their place among the answer's calls.
    arguments: BTreeMap<u32, TextScrubber>,
}

impl ChatSink {
    /// A sink into a call's channel.
    pub fn new(events: Sender<Vec<ChatEvent>>, patterns: &Arc<Patterns>) -> Self {
        let scrubber = || TextScrubber::new(Arc::clone(patterns));
        Self {
            events,
            patterns: Arc::clone(patterns),
            text: scrubber(),
            thinking: scrubber(),
            refusal: scrubber(),
            arguments: BTreeMap::new(),
        }
    }

    fn scrub(&mut self, event: ChatEvent, out: &mut Vec<ChatEvent>) {
        match event {
            ChatEvent::Text(text) => push_text(out, self.text.push(text), ChatEvent::Text),
            ChatEvent::Refusal(text) => push_text(out, self.refusal.push(text), ChatEvent::Refusal),
            ChatEvent::Thinking(Thinking { text, mut signature }) => {
                let text = self.thinking.push(text);
                signature.blank(&self.patterns);
                if !text.is_empty() || signature.is_some() {
                    out.push(ChatEvent::Thinking(Thinking { text, signature }));
                }
            }
            ChatEvent::ToolCallDelta { index, mut arguments } => {
                if self.arguments.len() < TOOL_CALLS_MAX || self.arguments.contains_key(&index) {
                    let new = || TextScrubber::new(Arc::clone(&self.patterns));
                    arguments = self.arguments.entry(index).or_insert_with(new).push(arguments);
                } else {
                    arguments.blank(&self.patterns);
                }
                push_text(out, arguments, |arguments| ChatEvent::ToolCallDelta { index, arguments });
            }
            ChatEvent::Finished(mut reason) => {
                self.end_streams(out);
                if let FinishReason::Other(word) = &mut reason {
                    word.blank(&self.patterns);
                }
                out.push(ChatEvent::Finished(reason));
            }
            other => out.push(self.blank_event(other)),
        }
    }

    fn end_streams(&mut self, out: &mut Vec<ChatEvent>) {
        push_text(out, self.thinking.finish(), |text| {
            ChatEvent::Thinking(Thinking { text, signature: None })
        });
        push_text(out, self.text.finish(), ChatEvent::Text);
        push_text(out, self.refusal.finish(), ChatEvent::Refusal);
        for (index, mut scrubber) in std::mem::take(&mut self.arguments) {
            push_text(out, scrubber.finish(), |arguments| ChatEvent::ToolCallDelta { index, arguments });
        }
    }

    /// Blanks an event that is whole in itself.
    fn blank_event(&self, mut event: ChatEvent) -> ChatEvent {
        match &mut event {
            ChatEvent::Started { id, model } => {
                id.blank(&self.patterns);
                model.blank(&self.patterns);
            }
            ChatEvent::ToolCallStart { id, name, signature, .. } => {
                id.blank(&self.patterns);
                name.blank(&self.patterns);
                signature.blank(&self.patterns);
            }
            ChatEvent::Logprobs(tokens) => tokens.blank(&self.patterns),
            ChatEvent::Usage(lines) => lines.blank(&self.patterns),
            ChatEvent::Other(other) => other.blank(&self.patterns),
            ChatEvent::Text(_)
            | ChatEvent::Thinking(_)
            | ChatEvent::Refusal(_)
            | ChatEvent::ToolCallDelta { .. }
            | ChatEvent::Finished(_) => {}
        }
        event
    }
}

fn push_text(out: &mut Vec<ChatEvent>, text: String, event: impl FnOnce(String) -> ChatEvent) {
    if !text.is_empty() {
        out.push(event(text));
    }
}

impl chat_types::Host for CallState {}

impl chat_types::HostChatSink for CallState {
    async fn send(
        &mut self,
        sink: Resource<ChatSink>,
        events: Vec<chat_types::ChatEvent>,
    ) -> wasmtime::Result<Result<(), Closed>> {
        self.count_host_call()?;
        let events = match convert::chat::events(events) {
            Ok(events) => events,
            Err(what) => return Err(self.trap_forbidden(what)),
        };
        let sink = self.table.get_mut(&sink)?;
        let mut scrubbed = Vec::with_capacity(events.len() + 1);
        for event in events {
            sink.scrub(event, &mut scrubbed);
        }
        if scrubbed.is_empty() {
            return Ok(Ok(()));
        }
        Ok(sink.events.send(scrubbed).await.map_err(|_| closed()))
    }

    async fn drop(&mut self, sink: Resource<ChatSink>) -> wasmtime::Result<()> {
        self.table.delete(sink)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_held_back_is_sent_before_the_end_and_to_the_right_tool_call() {
        let (sender, _) = tokio::sync::mpsc::channel(1);
        let mut sink = ChatSink::new(sender, &Arc::new(Patterns::new([b"sk-secret".as_slice()])));
        let mut out = Vec::new();
        for (index, arguments) in [(0, "{\"a\":\"sk-"), (1, "secret\"}")] {
            sink.scrub(ChatEvent::ToolCallDelta { index, arguments: arguments.to_owned() }, &mut out);
        }
        sink.scrub(ChatEvent::Text("ends in s".to_owned()), &mut out);
        sink.scrub(ChatEvent::Finished(FinishReason::Stop), &mut out);
        let mut arguments = [String::new(), String::new()];
        let mut text = String::new();
        for event in &out {
            match event {
                ChatEvent::ToolCallDelta { index, arguments: piece } => {
                    arguments[*index as usize].push_str(piece)
                }
                ChatEvent::Text(piece) => text.push_str(piece),
                _ => {}
            }
        }
        assert_eq!((arguments[0].as_str(), arguments[1].as_str()), ("{\"a\":\"sk-", "secret\"}"));
        assert_eq!(text, "ends in s");
        assert!(matches!(out.last(), Some(ChatEvent::Finished(_))));
    }
}
