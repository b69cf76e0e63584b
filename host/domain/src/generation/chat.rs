//! Conversations.

use super::usage::UsageLine;
use super::{Json, Media, Other};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatRole {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

#[derive(Clone, Debug)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// A JSON object as text; a model may have made it malformed.
    pub arguments: String,
    /// The provider's proof that its model made this call.
    pub signature: Option<String>,
}

/// A piece of what a tool answered.
#[derive(Clone, Debug)]
pub enum ToolContent {
    Text(String),
    Image(Media),
    File(Media),
    Other(Other),
}

#[derive(Clone, Debug)]
pub struct ToolResult {
    pub tool_call_id: String,
    pub content: Vec<ToolContent>,
    pub is_error: bool,
}

impl ToolResult {
    /// Its texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.content.iter().filter_map(|content| match content {
            ToolContent::Text(text) => Some(text.as_str()),
            ToolContent::Image(_) | ToolContent::File(_) | ToolContent::Other(_) => None,
        })
    }
}

#[derive(Clone, Debug)]
pub struct Thinking {
    pub text: String,
    /// The provider's proof that it wrote this.
    pub signature: Option<String>,
}

#[derive(Clone, Debug)]
pub enum Part {
    Text(String),
    Image(Media),
    Audio(Media),
    File(Media),
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    Thinking(Thinking),
    Refusal(String),
    Other(Other),
}

#[derive(Clone, Debug)]
pub struct Message {
    pub role: ChatRole,
    pub parts: Vec<Part>,
    pub name: Option<String>,
}

/// A tool that the caller runs.
#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of the arguments.
    pub parameters: Json,
    pub strict: bool,
}

#[derive(Clone, Debug)]
pub enum Tool {
    Function(Function),
    /// One that the provider runs, or of a shape of its own: as its API writes it.
    Other(Other),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    #[default]
    Automatic,
    None,
    Required,
    Named(String),
}

#[derive(Clone, Debug)]
pub struct JsonSchemaFormat {
    pub name: String,
    pub description: Option<String>,
    pub schema: Json,
    pub strict: bool,
}

#[derive(Clone, Debug, Default)]
pub enum ResponseFormat {
    #[default]
    Text,
    JsonObject,
    JsonSchema(JsonSchemaFormat),
    Other(Other),
}

/// One question with all that led to it.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// The provider's own model id.
    pub model: String,
    pub messages: Vec<Message>,
    /// Whether the caller wants the answer as it is made.
    pub stream: bool,
    pub tools: Vec<Tool>,
    pub tool_choice: ToolChoice,
    pub parallel_tool_calls: Option<bool>,
    pub response_format: ResponseFormat,
    pub max_output_tokens: Option<u32>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub stop: Vec<String>,
    pub seed: Option<i64>,
    pub frequency_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub top_logprobs: Option<u32>,
    pub reasoning_effort: Option<String>,
    pub end_user: Option<String>,
    /// Provider-specific options, an object.
    pub options: Json,
}

impl ChatRequest {
    /// A request with nothing asked for but an answer.
    pub fn new(model: impl Into<String>, messages: Vec<Message>) -> Self {
        Self {
            model: model.into(),
            messages,
            stream: false,
            tools: Vec::new(),
            tool_choice: ToolChoice::default(),
            parallel_tool_calls: None,
            response_format: ResponseFormat::default(),
            max_output_tokens: None,
            temperature: None,
            top_p: None,
            stop: Vec::new(),
            seed: None,
            frequency_penalty: None,
            presence_penalty: None,
            top_logprobs: None,
            reasoning_effort: None,
            end_user: None,
            options: super::empty_object(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct TopLogprob {
    pub token: String,
    pub logprob: f64,
    /// The token's bytes where they are no whole characters.
    pub bytes: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub struct TokenLogprob {
    pub token: String,
    pub logprob: f64,
    /// The token's bytes where they are no whole characters.
    pub bytes: Option<Vec<u8>>,
    /// The likeliest tokens there.
    pub top: Vec<TopLogprob>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    Stop,
    Length,
    ToolCalls,
    ContentFilter,
    Other(String),
}

/// A step of an answer. An answer without `Finished` was broken off.
#[derive(Clone, Debug)]
pub enum ChatEvent {
    /// The provider's id of the answer, and the model as the provider names it.
    Started {
        id: String,
        model: String,
    },
    Text(String),
    Thinking(Thinking),
    Refusal(String),
    /// A tool call begins; `index` is its place among the answer's calls.
    ToolCallStart {
        index: u32,
        id: String,
        name: String,
        signature: Option<String>,
    },
    /// The next piece of a call's arguments.
    ToolCallDelta {
        index: u32,
        arguments: String,
    },
    Logprobs(Vec<TokenLogprob>),
    Finished(FinishReason),
    /// Totals; the last report counts.
    Usage(Vec<UsageLine>),
    Other(Other),
}
