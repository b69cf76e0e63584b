//! The answer in events: a message of content blocks, one open at a time.

use atelier_domain::generation::chat::{ChatEvent, FinishReason};
use atelier_domain::generation::usage::{TokenTotals, UsageLine};
use serde_json::json;
use utoipa::ToSchema;

use super::response::{MessageView, Usage, met_sequence, stop_word};
use crate::http::openapi::words;
use crate::http::sse::{self, Script};
use crate::http::turns::Turns;
use crate::http::{Dialect, prefix};

/// What the open block is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Tool(u32),
}

/// What every event has; the rest is its type's own.
#[derive(ToSchema)]
#[schema(as = MessageEvent)]
#[expect(dead_code, reason = "the schema of what `Blocks` writes from parts")]
pub(super) struct Event {
    #[schema(inline, value_type = EventType)]
    r#type: String,
}

words! {
    EventType: "message_start" | "content_block_start" | "content_block_delta" | "content_block_stop" | "message_delta"
        | "message_stop" | "error";
}

/// Writes Anthropic's events.
pub(super) struct Blocks {
    id: String,
    model: String,
    began: bool,
    turns: Turns,
    open: Option<Open>,
    /// Blocks begun so far.
    count: u32,
    finish: Option<FinishReason>,
    /// The stop sequence that was met.
    sequence: Option<String>,
    usage: Vec<UsageLine>,
}

impl Blocks {
    pub(super) fn new(model: &str) -> Self {
        Self {
            id: prefix::id("msg_"),
            model: model.to_owned(),
            began: false,
            turns: Turns::default(),
            open: None,
            count: 0,
            finish: None,
            sequence: None,
            usage: Vec::new(),
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.began {
            return;
        }
        self.began = true;
        let message = MessageView {
            id: self.id.clone(),
            r#type: "message",
            role: "assistant",
            model: &self.model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: Usage::default(),
        };
        sse::named(out, "message_start", &json!({"type": "message_start", "message": message}));
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            let index = self.count - 1;
            sse::named(out, "content_block_stop", &json!({"type": "content_block_stop", "index": index}));
        }
    }

    fn open(&mut self, out: &mut Vec<u8>, wanted: Open, block: serde_json::Value) {
        self.begin(out);
        if self.open == Some(wanted) {
            return;
        }
        self.close(out);
        self.open = Some(wanted);
        let event = json!({"type": "content_block_start", "index": self.count, "content_block": block});
        sse::named(out, "content_block_start", &event);
        self.count += 1;
    }

    fn thought(&mut self, out: &mut Vec<u8>, text: String, signature: Option<String>) {
        self.open(out, Open::Thinking, json!({"type": "thinking", "thinking": "", "signature": ""}));
        if !text.is_empty() {
            self.delta(out, json!({"type": "thinking_delta", "thinking": text}));
        }
        if let Some(signature) = signature {
            self.delta(out, json!({"type": "signature_delta", "signature": signature}));
        }
    }

    fn delta(&self, out: &mut Vec<u8>, delta: serde_json::Value) {
        let index = self.count.saturating_sub(1);
        sse::named(
            out,
            "content_block_delta",
            &json!({"type": "content_block_delta", "index": index, "delta": delta}),
        );
    }
}

impl Blocks {
    fn write(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        match event {
            ChatEvent::Started { .. } => self.begin(out),
            ChatEvent::Text(text) | ChatEvent::Refusal(text) => {
                self.open(out, Open::Text, json!({"type": "text", "text": ""}));
                self.delta(out, json!({"type": "text_delta", "text": text}));
            }
            ChatEvent::Thinking(thinking) => self.thought(out, thinking.text, thinking.signature),
            ChatEvent::ToolCallStart { index, id, name, signature } => {
                // See `message`.
                if let Some(signature) = signature {
                    self.thought(out, String::new(), Some(signature));
                }
                let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
                self.open(out, Open::Tool(index), block);
            }
            ChatEvent::ToolCallDelta { arguments, .. } => {
                self.delta(out, json!({"type": "input_json_delta", "partial_json": arguments}));
            }
            ChatEvent::Finished(reason) => self.finish = Some(reason),
            ChatEvent::Usage(lines) => self.usage = lines,
            ChatEvent::Other(other) => {
                if let Some(sequence) = met_sequence(&other) {
                    self.sequence = Some(sequence.to_owned());
                }
            }
            // The dialect has no place for them.
            ChatEvent::Logprobs(_) => {}
        }
    }
}

impl Script<ChatEvent> for Blocks {
    const DIALECT: Dialect = Dialect::Anthropic;

    fn event(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        let (before, now) = self.turns.take(event);
        before.into_iter().chain(now).for_each(|event| self.write(event, out));
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.turns.rest().into_iter().for_each(|event| self.write(event, out));
        self.begin(out);
        self.close(out);
        let stop_reason = match &self.sequence {
            Some(_) => Some("stop_sequence"),
            None => self.finish.as_ref().map(stop_word),
        };
        let usage = Usage::from(TokenTotals::of(&self.usage));
        let delta = json!({"stop_reason": stop_reason, "stop_sequence": self.sequence});
        sse::named(out, "message_delta", &json!({"type": "message_delta", "delta": delta, "usage": usage}));
        sse::named(out, "message_stop", &json!({"type": "message_stop"}));
    }
}
