//! The answer in typed events, numbered in sequence; one item open at a time.

use atelier_domain::generation::chat::{ChatEvent, FinishReason, ToolCall};
use atelier_domain::generation::usage::{TokenTotals, UsageLine};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::items::Keeper;
use super::response::{Head, Item};
use crate::http::sse::{self, Script};
use crate::http::turns::Turns;
use crate::http::{ApiError, Dialect, prefix};

/// What the open item is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Refusal,
    Reasoning,
    Call(u32),
}

struct Current {
    kind: Open,
    id: String,
    /// Its text or arguments so far.
    text: String,
    call_id: String,
    name: String,
    signature: Option<String>,
}

/// What every event has; the rest is its type's own.
#[derive(ToSchema)]
#[schema(as = ResponseEvent)]
#[expect(dead_code, reason = "the schema of what `Events::send` writes from parts")]
pub(super) struct Event {
    /// `response.created`, `response.output_text.delta`, …, or `error`.
    r#type: String,
    /// Counts the stream's events from 0.
    sequence_number: u64,
}

/// Writes `response.*` events.
pub(super) struct Events {
    head: Head,
    /// Takes the whole answer, if it is to be kept.
    keeper: Option<Keeper>,
    began: bool,
    sequence: u64,
    turns: Turns,
    current: Option<Current>,
    done: Vec<Item>,
    finish: Option<FinishReason>,
    usage: Vec<UsageLine>,
}

impl Events {
    pub(super) fn new(head: Head, keeper: Option<Keeper>) -> Self {
        Self {
            head,
            keeper,
            began: false,
            sequence: 0,
            turns: Turns::default(),
            current: None,
            done: Vec::new(),
            finish: None,
            usage: Vec::new(),
        }
    }

    fn send(&mut self, out: &mut Vec<u8>, name: &str, mut event: Value) {
        event["type"] = name.into();
        event["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        sse::named(out, name, &event);
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.began {
            self.began = true;
            for name in ["response.created", "response.in_progress"] {
                let event = json!({"response": self.head.begun()});
                self.send(out, name, event);
            }
        }
    }

    /// The place of the open item.
    fn index(&self) -> usize {
        self.done.len()
    }

    fn open(&mut self, out: &mut Vec<u8>, kind: Open, call_id: String, name: String) {
        self.begin(out);
        if self.current.as_ref().is_some_and(|current| current.kind == kind) {
            return;
        }
        self.close(out);
        let (id_prefix, mut item) = match kind {
            Open::Text | Open::Refusal => (
                "msg_",
                json!({"type": "message", "status": "in_progress", "role": "assistant", "content": []}),
            ),
            Open::Reasoning => ("rs_", json!({"type": "reasoning", "summary": []})),
            Open::Call(_) => {
                let item = json!({"type": "function_call", "status": "in_progress", "call_id": call_id, "name": name,
                    "arguments": ""});
                ("fc_", item)
            }
        };
        let id = prefix::id(id_prefix);
        item["id"] = id.as_str().into();
        let index = self.index();
        self.send(out, "response.output_item.added", json!({"output_index": index, "item": item}));
        let part = match kind {
            Open::Text => Some((
                "response.content_part.added",
                json!({"content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}}),
            )),
            Open::Refusal => Some((
                "response.content_part.added",
                json!({"content_index": 0, "part": {"type": "refusal", "refusal": ""}}),
            )),
            Open::Reasoning => Some((
                "response.reasoning_summary_part.added",
                json!({"summary_index": 0, "part": {"type": "summary_text", "text": ""}}),
            )),
            Open::Call(_) => None,
        };
        if let Some((event, mut part)) = part {
            part["item_id"] = id.as_str().into();
            part["output_index"] = index.into();
            self.send(out, event, part);
        }
        self.current = Some(Current { kind, id, text: String::new(), call_id, name, signature: None });
    }

    fn delta(&mut self, out: &mut Vec<u8>, delta: &str) {
        let index = self.index();
        let Some(current) = &mut self.current else { return };
        current.text.push_str(delta);
        let mut event = json!({"item_id": current.id, "output_index": index, "delta": delta});
        let name = match current.kind {
            Open::Text => "response.output_text.delta",
            Open::Refusal => "response.refusal.delta",
            Open::Reasoning => "response.reasoning_summary_text.delta",
            Open::Call(_) => "response.function_call_arguments.delta",
        };
        match current.kind {
            Open::Text | Open::Refusal => event["content_index"] = 0.into(),
            Open::Reasoning => event["summary_index"] = 0.into(),
            Open::Call(_) => {}
        }
        self.send(out, name, event);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(current) = self.current.take() else { return };
        let index = self.index();
        let base = json!({"item_id": current.id, "output_index": index});
        let with = |members: Value| {
            let mut event = base.clone();
            if let (Some(event), Value::Object(members)) = (event.as_object_mut(), members) {
                event.extend(members);
            }
            event
        };
        let text = current.text;
        let mut item = match current.kind {
            Open::Text => {
                self.send(out, "response.output_text.done", with(json!({"content_index": 0, "text": text})));
                let part = json!({"type": "output_text", "text": text, "annotations": []});
                self.send(out, "response.content_part.done", with(json!({"content_index": 0, "part": part})));
                Item::text(text)
            }
            Open::Refusal => {
                self.send(out, "response.refusal.done", with(json!({"content_index": 0, "refusal": text})));
                let part = json!({"type": "refusal", "refusal": text});
                self.send(out, "response.content_part.done", with(json!({"content_index": 0, "part": part})));
                Item::refusal(text)
            }
            Open::Reasoning => {
                self.send(
                    out,
                    "response.reasoning_summary_text.done",
                    with(json!({"summary_index": 0, "text": text})),
                );
                let part = json!({"type": "summary_text", "text": text});
                self.send(
                    out,
                    "response.reasoning_summary_part.done",
                    with(json!({"summary_index": 0, "part": part})),
                );
                Item::reasoning(text)
            }
            Open::Call(_) => {
                self.send(out, "response.function_call_arguments.done", with(json!({"arguments": text})));
                let (id, name, signature) = (current.call_id, current.name, current.signature);
                Item::call(ToolCall { id, name, arguments: text, signature })
            }
        };
        match &mut item {
            Item::Reasoning { id, .. } | Item::Message { id, .. } | Item::FunctionCall { id, .. } => {
                *id = current.id
            }
        }
        self.send(out, "response.output_item.done", json!({"output_index": index, "item": item}));
        self.done.push(item);
    }
}

impl Events {
    fn write(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        let none = String::new;
        match event {
            ChatEvent::Started { .. } => self.begin(out),
            ChatEvent::Text(text) => {
                self.open(out, Open::Text, none(), none());
                self.delta(out, &text);
            }
            ChatEvent::Refusal(text) => {
                self.open(out, Open::Refusal, none(), none());
                self.delta(out, &text);
            }
            ChatEvent::Thinking(thinking) => {
                if !thinking.text.is_empty() {
                    self.open(out, Open::Reasoning, none(), none());
                    self.delta(out, &thinking.text);
                }
            }
            ChatEvent::ToolCallStart { index, id, name, signature } => {
                self.open(out, Open::Call(index), id, name);
                self.current.iter_mut().for_each(|current| current.signature.clone_from(&signature));
            }
            ChatEvent::ToolCallDelta { arguments, .. } => self.delta(out, &arguments),
            ChatEvent::Finished(reason) => self.finish = Some(reason),
            ChatEvent::Usage(lines) => self.usage = lines,
            // The dialect has no place for them.
            ChatEvent::Logprobs(_) | ChatEvent::Other(_) => {}
        }
    }
}

impl Script<ChatEvent> for Events {
    const DIALECT: Dialect = Dialect::OpenAi;

    fn event(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        let (before, now) = self.turns.take(event);
        before.into_iter().chain(now).for_each(|event| self.write(event, out));
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.turns.rest().into_iter().for_each(|event| self.write(event, out));
        self.begin(out);
        self.close(out);
        let tokens = (!self.usage.is_empty()).then(|| TokenTotals::of(&self.usage));
        let done = std::mem::take(&mut self.done);
        let view = self.head.finished(done, self.finish.as_ref(), tokens);
        if let Some(keeper) = self.keeper.take() {
            keeper.keep(&view);
        }
        let name = if view.is_incomplete() { "response.incomplete" } else { "response.completed" };
        let event = json!({"response": view});
        self.send(out, name, event);
    }

    fn failed(&mut self, error: &ApiError, _: &str, out: &mut Vec<u8>) {
        let told = error.told();
        self.send(out, "error", json!({"code": told.code, "message": told.message, "param": told.param}));
    }
}
