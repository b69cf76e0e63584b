//! Conversations and their messages as their owner sees them.

use atelier_domain::conversation::{Conversation, Exchanged, MessagePart, StoredMessage};
use atelier_domain::generation::usage::TokenTotals;
use atelier_domain::id::ChatMessageId;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::http::files::file_id;
use crate::http::openapi::{id, words};
use crate::http::prefix;

#[derive(Serialize, ToSchema)]
#[schema(as = Conversation)]
pub(in crate::http) struct ConversationView<'a> {
    #[schema(schema_with = id)]
    id: String,
    /// The first words until there is a better one; `null` until something is said.
    #[schema(required)]
    title: Option<&'a str>,
    /// What answers unless a message says otherwise.
    #[schema(required)]
    model: Option<&'a str>,
    /// What every model is told first.
    #[schema(required)]
    system: Option<&'a str>,
    #[schema(format = DateTime)]
    created: String,
    /// When something was last said.
    #[schema(format = DateTime)]
    updated: String,
    archived: bool,
    /// The last message of the current branch.
    #[schema(required)]
    leaf: Option<String>,
    /// How many there are, on all branches.
    messages: u32,
    /// Of all messages, with the files that they name.
    bytes: u64,
}

impl<'a> From<&'a Conversation> for ConversationView<'a> {
    fn from(conversation: &'a Conversation) -> Self {
        Self {
            id: conversation.id.to_string(),
            title: conversation.title.as_ref().map(|title| title.text.as_str()),
            model: conversation.model.as_deref(),
            system: conversation.system.as_deref(),
            created: conversation.created.rfc3339(),
            updated: conversation.active.rfc3339(),
            archived: conversation.archived,
            leaf: conversation.leaf.map(|leaf| leaf.to_string()),
            messages: conversation.messages,
            bytes: conversation.bytes,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = ConversationPart)]
enum PartView<'a> {
    Text {
        text: &'a str,
    },
    File {
        /// It may be deleted by now; the message keeps its content.
        #[schema(schema_with = file_id)]
        file_id: String,
        name: &'a str,
        content_type: &'a str,
        /// In bytes.
        size: u64,
    },
}

#[derive(Serialize, ToSchema)]
#[schema(as = ConversationAnswer)]
struct AnswerView<'a> {
    /// The model that answers, by its full id.
    model: &'a str,
    // Anything but `complete` is a broken answer, of which `content` is what there is.
    #[schema(inline, value_type = StateWord)]
    state: &'static str,
    /// `stop`, `length`, `content_filter`, or a provider's own word; `null` unless it is complete.
    #[schema(required)]
    finish_reason: Option<&'a str>,
    /// Why it failed.
    #[schema(required)]
    error: Option<ErrorView<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    refusal: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ConversationAnswerError)]
struct ErrorView<'a> {
    code: &'a str,
    message: &'a str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ConversationUsage)]
struct UsageView {
    input_tokens: u64,
    output_tokens: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ConversationMessage)]
pub(in crate::http) struct MessageView<'a> {
    #[schema(schema_with = id)]
    id: String,
    /// The message that it follows.
    #[schema(required)]
    parent: Option<String>,
    #[schema(inline, value_type = RoleWord)]
    role: &'static str,
    content: Vec<PartView<'a>>,
    #[schema(format = DateTime)]
    created: String,
    /// What only an assistant's message has.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerView<'a>>,
    /// All messages that follow the same one, oldest first, this one among them: edits, or answers made again.
    #[serde(skip_serializing_if = "Option::is_none")]
    siblings: Option<Vec<String>>,
}

words! {
    RoleWord: "user" | "assistant";
    StateWord: "pending" | "complete" | "canceled" | "failed" | "interrupted";
}

impl<'a> MessageView<'a> {
    pub(in crate::http) fn listed(message: &'a StoredMessage, siblings: &[ChatMessageId]) -> Self {
        let siblings = Some(siblings.iter().map(ChatMessageId::to_string).collect());
        Self { siblings, ..Self::from(message) }
    }
}

impl<'a> From<&'a StoredMessage> for MessageView<'a> {
    fn from(message: &'a StoredMessage) -> Self {
        let part = |part: &'a MessagePart| match part {
            MessagePart::Text(text) => PartView::Text { text },
            MessagePart::File(file) => PartView::File {
                file_id: prefix::of(prefix::FILE, &file.file.simple()),
                name: &file.name,
                content_type: &file.content_type,
                size: file.size,
            },
        };
        let answer = message.answer.as_ref().map(|answer| AnswerView {
            model: &answer.model,
            state: answer.state.as_str(),
            finish_reason: answer.finish_reason.as_deref(),
            error: answer
                .error
                .as_ref()
                .map(|error| ErrorView { code: &error.code, message: &error.message }),
            thinking: &answer.thinking,
            refusal: &answer.refusal,
            usage: (!answer.usage.is_empty()).then(|| {
                let totals = TokenTotals::of(&answer.usage);
                UsageView { input_tokens: totals.input, output_tokens: totals.output }
            }),
        });
        Self {
            id: message.id.to_string(),
            parent: message.parent.map(|parent| parent.to_string()),
            role: if message.answer.is_some() { "assistant" } else { "user" },
            content: message.parts.iter().map(part).collect(),
            created: message.created.rfc3339(),
            answer,
            siblings: None,
        }
    }
}

/// A question and its answer.
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationExchange)]
pub(super) struct ExchangeView<'a> {
    question: MessageView<'a>,
    message: MessageView<'a>,
}

impl<'a> From<&'a Exchanged> for ExchangeView<'a> {
    fn from(exchanged: &'a Exchanged) -> Self {
        Self { question: (&exchanged.question).into(), message: (&exchanged.answer).into() }
    }
}

/// A conversation, for the reference.
pub(super) fn sample() -> serde_json::Value {
    json!({"id": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "title": "What is the capital of France?",
        "model": "local/smollm2-135m-instruct", "system": null, "created": "2026-11-22T00:00:00.000Z",
        "updated": "2026-11-22T00:00:07.000Z", "archived": false, "leaf": "019ab0c3-e5f2-7d0a-a1b2-c3d4e5f60718",
        "messages": 2, "bytes": 36})
}

/// A question, for the reference.
pub(super) fn sample_question() -> serde_json::Value {
    json!({"id": "019ab0c3-e5f1-7d0a-a1b2-c3d4e5f60718", "parent": null, "role": "user",
        "content": [{"type": "text", "text": "What is the capital of France?"}], "created": "2026-11-22T00:00:05.000Z"})
}

/// Its answer, for the reference.
pub(super) fn sample_answer() -> serde_json::Value {
    json!({"id": "019ab0c3-e5f2-7d0a-a1b2-c3d4e5f60718", "parent": "019ab0c3-e5f1-7d0a-a1b2-c3d4e5f60718",
        "role": "assistant", "content": [{"type": "text", "text": "Paris."}], "created": "2026-11-22T00:00:05.000Z",
        "answer": {"model": "local/smollm2-135m-instruct", "state": "complete", "finish_reason": "stop", "error": null,
        "usage": {"input_tokens": 31, "output_tokens": 3}}})
}
