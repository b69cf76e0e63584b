//! The answer in chunks.

use atelier_domain::generation::Other;
use atelier_domain::generation::chat::{ChatEvent, TokenLogprob};
use atelier_domain::generation::usage::{TokenTotals, UsageLine};
use atelier_domain::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::extra::ExtraContent;
use super::response::{ANNOTATIONS, AUDIO, Logprobs, MODERATION, Usage, finish_word, logprobs};
use crate::http::openapi::words;
use crate::http::sse::{self, Script};
use crate::http::{Dialect, prefix};

/// Writes `chat.completion.chunk` events.
pub(super) struct Chunks {
    id: String,
    model: String,
    created: u64,
    include_usage: bool,
    /// The role was sent.
    began: bool,
    usage: Vec<UsageLine>,
    /// Waits for the text that it belongs to.
    logprobs: Vec<TokenLogprob>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatCompletionChunk)]
pub(super) struct Chunk<'a> {
    id: &'a str,
    #[schema(inline, value_type = ChunkWord)]
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [ChunkChoice<'a>],
    /// As the provider says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    moderation: Option<&'a RawValue>,
    /// `null` in all chunks but the last when usage was asked for, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Usage>)]
    usage: Option<Option<Usage>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatChunkChoice)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    #[schema(required)]
    logprobs: Option<Logprobs<'a>>,
    #[schema(required)]
    finish_reason: Option<&'a str>,
}

#[derive(Default, Serialize, ToSchema)]
#[schema(as = ChatDelta)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<ToolDelta<'a>>)]
    tool_calls: Option<[ToolDelta<'a>; 1]>,
    /// As the provider says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    annotations: Option<&'a RawValue>,
    /// As the provider says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    audio: Option<&'a RawValue>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatToolDelta)]
struct ToolDelta<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: FunctionDelta<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ExtraContent>)]
    extra_content: Option<ExtraContent<&'a str>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatFunctionDelta)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

words! {
    ChunkWord: "chat.completion.chunk";
}

impl Chunks {
    pub(super) fn new(model: &str, now: Timestamp, include_usage: bool) -> Self {
        Self {
            id: prefix::id("chatcmpl-"),
            model: model.to_owned(),
            created: now.unix_seconds(),
            include_usage,
            began: false,
            usage: Vec::new(),
            logprobs: Vec::new(),
        }
    }

    fn chunk(&self, out: &mut Vec<u8>, choices: &[ChunkChoice<'_>], usage: Option<Option<Usage>>) {
        let (id, object, created, model) = (&self.id, "chat.completion.chunk", self.created, &self.model);
        sse::data(out, &Chunk { id, object, created, model, choices, moderation: None, usage });
    }

    fn delta(&mut self, out: &mut Vec<u8>, delta: Delta<'_>, finish_reason: Option<&str>) {
        self.begin(out);
        let pending = std::mem::take(&mut self.logprobs);
        let choice = ChunkChoice { index: 0, delta, logprobs: logprobs(&pending), finish_reason };
        self.chunk(out, &[choice], self.include_usage.then_some(None));
    }

    /// What this API has a place for and the contract none.
    fn other(&mut self, other: &Other, out: &mut Vec<u8>) {
        let json = Some(&*other.json);
        match other.kind.as_str() {
            ANNOTATIONS => self.delta(out, Delta { annotations: json, ..Delta::default() }, None),
            AUDIO => self.delta(out, Delta { audio: json, ..Delta::default() }, None),
            MODERATION => {
                self.begin(out);
                let (id, object, created, model) =
                    (&self.id, "chat.completion.chunk", self.created, &self.model);
                let usage = self.include_usage.then_some(None);
                sse::data(out, &Chunk { id, object, created, model, choices: &[], moderation: json, usage });
            }
            // The dialect has no place for it.
            _ => {}
        }
    }

    /// The first chunk tells the role.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.began {
            self.began = true;
            let delta = Delta { role: Some("assistant"), content: Some(""), ..Delta::default() };
            let choice = ChunkChoice { index: 0, delta, logprobs: None, finish_reason: None };
            self.chunk(out, &[choice], self.include_usage.then_some(None));
        }
    }
}

impl Script<ChatEvent> for Chunks {
    const DIALECT: Dialect = Dialect::OpenAi;

    fn event(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        match &event {
            ChatEvent::Started { .. } => self.begin(out),
            ChatEvent::Text(text) => self.delta(out, Delta { content: Some(text), ..Delta::default() }, None),
            ChatEvent::Thinking(thinking) => {
                if !thinking.text.is_empty() {
                    self.delta(
                        out,
                        Delta { reasoning_content: Some(&thinking.text), ..Delta::default() },
                        None,
                    );
                }
            }
            ChatEvent::Refusal(text) => {
                self.delta(out, Delta { refusal: Some(text), ..Delta::default() }, None)
            }
            ChatEvent::ToolCallStart { index, id, name, signature } => {
                let call = ToolDelta {
                    index: *index,
                    id: Some(id),
                    r#type: Some("function"),
                    function: FunctionDelta { name: Some(name), arguments: "" },
                    extra_content: signature.as_deref().map(ExtraContent::of),
                };
                self.delta(out, Delta { tool_calls: Some([call]), ..Delta::default() }, None);
            }
            ChatEvent::ToolCallDelta { index, arguments } => {
                let function = FunctionDelta { name: None, arguments };
                let call = ToolDelta { index: *index, id: None, r#type: None, function, extra_content: None };
                self.delta(out, Delta { tool_calls: Some([call]), ..Delta::default() }, None);
            }
            ChatEvent::Logprobs(tokens) => self.logprobs.extend_from_slice(tokens),
            ChatEvent::Finished(reason) => self.delta(out, Delta::default(), Some(finish_word(reason))),
            ChatEvent::Usage(lines) => self.usage.clone_from(lines),
            ChatEvent::Other(other) => self.other(other, out),
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.include_usage && !self.usage.is_empty() {
            self.chunk(out, &[], Some(Some(TokenTotals::of(&self.usage).into())));
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}
