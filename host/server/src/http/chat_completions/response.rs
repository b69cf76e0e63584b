//! The answer's shapes, whole and in chunks.

use atelier_domain::generation::chat::{FinishReason, TokenLogprob, ToolCall};
use atelier_domain::generation::usage::{TokenTotals, UsageLine};
use atelier_domain::time::Timestamp;
use atelier_service::generation::answer::ChatAnswer;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::extra::ExtraContent;
use crate::http::openapi::{null, words};
use crate::http::prefix;

/// Kinds of `other` that this API has a place for.
pub(super) const ANNOTATIONS: &str = "openai.annotations";
pub(super) const AUDIO: &str = "openai.audio";
pub(super) const MODERATION: &str = "openai.moderation";

#[derive(Serialize, ToSchema)]
#[schema(as = ChatCompletion)]
pub(super) struct Completion<'a> {
    id: String,
    #[schema(inline, value_type = CompletionWord)]
    object: &'static str,
    /// Unix seconds.
    created: u64,
    /// The model that answered, by its full id.
    model: &'a str,
    choices: Vec<Choice<'a>>,
    /// As the provider says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    moderation: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatChoice)]
struct Choice<'a> {
    index: u32,
    message: MessageView<'a>,
    #[schema(required)]
    logprobs: Option<Logprobs<'a>>,
    /// `stop`, `length`, `tool_calls`, `content_filter`, or a provider's own word.
    finish_reason: &'a str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatAnswerMessage)]
struct MessageView<'a> {
    #[schema(inline, value_type = AssistantWord)]
    role: &'static str,
    #[schema(required)]
    content: Option<&'a str>,
    #[schema(required)]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCallView<'a>>,
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
#[schema(as = ChatToolCall)]
struct ToolCallView<'a> {
    id: &'a str,
    #[schema(inline, value_type = super::schema::FunctionWord)]
    r#type: &'static str,
    function: FunctionView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ExtraContent>)]
    extra_content: Option<ExtraContent<&'a str>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatFunctionCall)]
struct FunctionView<'a> {
    name: &'a str,
    /// JSON, as the model wrote it.
    arguments: &'a str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatLogprobs)]
pub(super) struct Logprobs<'a> {
    content: Vec<LogprobView<'a>>,
    #[schema(schema_with = null)]
    refusal: Option<()>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatLogprob)]
struct LogprobView<'a> {
    token: &'a str,
    logprob: f64,
    bytes: &'a [u8],
    top_logprobs: Vec<TopLogprob<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatTopLogprob)]
struct TopLogprob<'a> {
    token: &'a str,
    logprob: f64,
    bytes: &'a [u8],
}

/// Token counts.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatUsage)]
pub(super) struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatPromptDetails)]
struct PromptDetails {
    cached_tokens: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatCompletionDetails)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

words! {
    CompletionWord: "chat.completion";
    AssistantWord: "assistant";
}

impl From<TokenTotals> for Usage {
    fn from(totals: TokenTotals) -> Self {
        Self {
            prompt_tokens: totals.input,
            completion_tokens: totals.output,
            total_tokens: totals.input + totals.output,
            prompt_tokens_details: PromptDetails { cached_tokens: totals.input_cached },
            completion_tokens_details: CompletionDetails { reasoning_tokens: totals.output_reasoning },
        }
    }
}

pub(super) fn logprobs(tokens: &[TokenLogprob]) -> Option<Logprobs<'_>> {
    (!tokens.is_empty()).then(|| Logprobs { content: tokens.iter().map(logprob).collect(), refusal: None })
}

fn logprob(token: &TokenLogprob) -> LogprobView<'_> {
    let top = token.top.iter().map(|top| TopLogprob {
        token: &top.token,
        logprob: top.logprob,
        bytes: top.bytes.as_deref().unwrap_or(top.token.as_bytes()),
    });
    LogprobView {
        token: &token.token,
        logprob: token.logprob,
        bytes: token.bytes.as_deref().unwrap_or(token.token.as_bytes()),
        top_logprobs: top.collect(),
    }
}

/// The API's word for why an answer ended; a provider's own word is passed on.
pub(super) fn finish_word(reason: &FinishReason) -> &str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Other(word) => word,
    }
}

/// What OpenAI's API has a place for and the contract none: as the provider said it.
fn own<'a>(answer: &'a ChatAnswer, kind: &str) -> Option<&'a RawValue> {
    answer.other.iter().find(|other| other.kind == kind).map(|other| &*other.json)
}

/// Whole answers to one question.
pub(super) fn completion<'a>(answers: &'a [ChatAnswer], model: &'a str, now: Timestamp) -> Completion<'a> {
    let lines: Vec<UsageLine> = answers.iter().flat_map(|answer| answer.usage.iter().cloned()).collect();
    Completion {
        id: prefix::id("chatcmpl-"),
        object: "chat.completion",
        created: now.unix_seconds(),
        model,
        choices: (0..).zip(answers).map(|(index, answer)| choice(index, answer)).collect(),
        moderation: answers.iter().find_map(|answer| own(answer, MODERATION)),
        usage: (!lines.is_empty()).then(|| TokenTotals::of(&lines).into()),
    }
}

fn choice(index: u32, answer: &ChatAnswer) -> Choice<'_> {
    fn tool_call(call: &ToolCall) -> ToolCallView<'_> {
        ToolCallView {
            id: &call.id,
            r#type: "function",
            function: FunctionView { name: &call.name, arguments: &call.arguments },
            extra_content: call.signature.as_deref().map(ExtraContent::of),
        }
    }
    fn some(text: &str) -> Option<&str> {
        (!text.is_empty()).then_some(text)
    }
    let has_other = !answer.tool_calls.is_empty() || !answer.refusal.is_empty();
    let message = MessageView {
        role: "assistant",
        content: some(&answer.text).or((!has_other).then_some("")),
        refusal: some(&answer.refusal),
        reasoning_content: some(&answer.thinking),
        tool_calls: answer.tool_calls.iter().map(tool_call).collect(),
        annotations: own(answer, ANNOTATIONS),
        audio: own(answer, AUDIO),
    };
    // A stream without its end is an error before it comes here.
    let finish_reason = answer.finish.as_ref().map_or("stop", finish_word);
    Choice { index, message, logprobs: logprobs(&answer.logprobs), finish_reason }
}
