//! The answer's shapes, whole and in chunks.

use atelier_domain::generation::chat::{FinishReason, TokenLogprob, ToolCall};
use atelier_domain::generation::usage::TokenTotals;
use atelier_domain::time::Timestamp;
use atelier_service::generation::answer::ChatAnswer;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::openapi::{null, words};
use crate::http::prefix;

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
    choices: [Choice<'a>; 1],
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
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatToolCall)]
struct ToolCallView<'a> {
    id: &'a str,
    #[schema(inline, value_type = super::schema::FunctionWord)]
    r#type: &'static str,
    function: FunctionView<'a>,
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
    logprob: f32,
    bytes: &'a [u8],
    top_logprobs: Vec<TopLogprob<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChatTopLogprob)]
struct TopLogprob<'a> {
    token: &'a str,
    logprob: f32,
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
    let top = token.top.iter().map(|(text, logprob)| TopLogprob {
        token: text,
        logprob: *logprob,
        bytes: text.as_bytes(),
    });
    LogprobView {
        token: &token.token,
        logprob: token.logprob,
        bytes: token.token.as_bytes(),
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

/// A whole answer.
pub(super) fn completion<'a>(answer: &'a ChatAnswer, model: &'a str, now: Timestamp) -> Completion<'a> {
    let tool_call = |call: &'a ToolCall| ToolCallView {
        id: &call.id,
        r#type: "function",
        function: FunctionView { name: &call.name, arguments: &call.arguments },
    };
    let some = |text: &'a str| (!text.is_empty()).then_some(text);
    let has_other = !answer.tool_calls.is_empty() || !answer.refusal.is_empty();
    let message = MessageView {
        role: "assistant",
        content: some(&answer.text).or((!has_other).then_some("")),
        refusal: some(&answer.refusal),
        reasoning_content: some(&answer.thinking),
        tool_calls: answer.tool_calls.iter().map(tool_call).collect(),
    };
    // A stream without its end is an error before it comes here.
    let finish_reason = answer.finish.as_ref().map_or("stop", finish_word);
    let choice = Choice { index: 0, message, logprobs: logprobs(&answer.logprobs), finish_reason };
    Completion {
        id: prefix::id("chatcmpl-"),
        object: "chat.completion",
        created: now.unix_seconds(),
        model,
        choices: [choice],
        usage: answer.tokens().map(Usage::from),
    }
}
