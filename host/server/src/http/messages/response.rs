//! The answer's shapes.

use atelier_domain::generation::chat::FinishReason;
use atelier_domain::generation::usage::TokenTotals;
use atelier_domain::generation::{Json, Other};
use atelier_service::ServiceError;
use atelier_service::generation::answer::ChatAnswer;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::openapi::words;
use crate::http::{ApiError, prefix};

#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub(super) struct MessageView<'a> {
    pub id: String,
    #[schema(inline, value_type = MessageWord)]
    pub r#type: &'static str,
    #[schema(inline, value_type = AssistantWord)]
    pub role: &'static str,
    /// The model that answered, by its full id.
    pub model: &'a str,
    pub content: Vec<Block<'a>>,
    /// `end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, `refusal`, or a provider's own word.
    #[schema(required)]
    pub stop_reason: Option<&'a str>,
    #[schema(required)]
    pub stop_sequence: Option<&'a str>,
    pub usage: Usage,
}

#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = MessageAnswerBlock)]
pub(super) enum Block<'a> {
    Text {
        text: &'a str,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        #[schema(value_type = Value)]
        input: Json,
    },
}

/// How many tokens a request has.
#[derive(Serialize, ToSchema)]
#[schema(as = TokenCount)]
pub(super) struct Count {
    pub input_tokens: u64,
}

words! {
    MessageWord: "message";
    AssistantWord: "assistant";
}

/// Token counts; cached input is counted apart.
#[derive(Clone, Copy, Default, Serialize, ToSchema)]
#[schema(as = MessageUsage)]
pub(super) struct Usage {
    pub input_tokens: u64,
    pub cache_read_input_tokens: u64,
    pub output_tokens: u64,
}

impl From<TokenTotals> for Usage {
    fn from(totals: TokenTotals) -> Self {
        Self {
            input_tokens: totals.input.saturating_sub(totals.input_cached),
            cache_read_input_tokens: totals.input_cached,
            output_tokens: totals.output,
        }
    }
}

/// The API's word for why an answer ended; a provider's own word is passed on.
pub(super) fn stop_word(reason: &FinishReason) -> &str {
    match reason {
        FinishReason::Stop => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
        FinishReason::Other(word) => word,
    }
}

/// The stop sequence that ended an answer, where its provider says which.
pub(super) fn met_sequence(other: &Other) -> Option<&str> {
    (other.kind == "anthropic.stop_sequence").then(|| serde_json::from_str(other.json.get()).ok()).flatten()
}

/// A whole answer.
pub(super) fn message<'a>(answer: &'a ChatAnswer, model: &'a str) -> Result<MessageView<'a>, ApiError> {
    let mut content = Vec::new();
    if !answer.thinking.is_empty() {
        let signature = answer.thinking_signature.as_deref().unwrap_or("");
        content.push(Block::Thinking { thinking: &answer.thinking, signature });
    }
    for text in [&answer.text, &answer.refusal] {
        if !text.is_empty() {
            content.push(Block::Text { text });
        }
    }
    for call in &answer.tool_calls {
        // A call has no place for its proof of origin: it goes as the thought before it, and comes back as one.
        if let Some(signature) = &call.signature {
            content.push(Block::Thinking { thinking: "", signature });
        }
        let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
        let input: Json = serde_json::from_str(arguments).map_err(|_| ServiceError::AnswerBrokenOff {
            instance: model.split('/').next().unwrap_or(model).to_owned(),
        })?;
        content.push(Block::ToolUse { id: &call.id, name: &call.name, input });
    }
    let stop_sequence = answer.other.iter().find_map(met_sequence);
    Ok(MessageView {
        id: prefix::id("msg_"),
        r#type: "message",
        role: "assistant",
        model,
        content,
        stop_reason: if stop_sequence.is_some() {
            Some("stop_sequence")
        } else {
            answer.finish.as_ref().map(stop_word)
        },
        stop_sequence,
        usage: answer.tokens().unwrap_or_default().into(),
    })
}
