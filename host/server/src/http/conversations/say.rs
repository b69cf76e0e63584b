//! `POST /api/v1/conversations/{id}/messages`, and `…/messages/{message}/regenerate`: a question and its answer.

use atelier_service::conversations::{AnswerSettings, Answering, Follows, NewPart};
use http::StatusCode;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use utoipa::ToSchema;

use super::stream::{Event, Events};
use super::view::{ExchangeView, sample_answer, sample_question};
use crate::http::files::optional_file_id;
use crate::http::openapi::{Operation, Tag, id, optional_id, words};
use crate::http::query::{parsed, path};
use crate::http::text_or_parts::{ContentPart, TextOrParts};
use crate::http::{ApiError, Call, Reply, answer, body, prefix, sse};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewConversationMessage)]
struct Body {
    content: Content,
    /// The answer that this follows; `null`: it begins a branch. The end of the current branch, if it is not sent. An edit is a
    /// message with the `parent` of the one that it takes the place of.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = optional_id, required = false)]
    parent: Option<Option<String>>,
    /// In place of the conversation's, for this answer and those that come after it.
    model: Option<String>,
    /// Answer with events as the text is made.
    stream: Option<bool>,
    #[schema(minimum = 1)]
    max_output_tokens: Option<u32>,
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConversationRegeneration)]
struct Again {
    /// In place of the conversation's, for this answer and those that come after it.
    model: Option<String>,
    /// Answer with events as the text is made.
    stream: Option<bool>,
    #[schema(minimum = 1)]
    max_output_tokens: Option<u32>,
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
}

type Content = TextOrParts<PartBody>;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewConversationPart)]
struct PartBody {
    #[schema(inline, value_type = PartWord)]
    r#type: String,
    text: Option<String>,
    /// A file of yours, whose content stays with the message when it is deleted.
    #[schema(schema_with = optional_file_id)]
    file_id: Option<String>,
}

words! {
    PartWord: "text" | "file";
}

impl ContentPart for PartBody {
    const CONTENT: &'static str = "NewConversationContent";
}

/// `null` is said, and is not the same as nothing.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Asks something in one of the caller's conversations.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let id = path(&mut call, "id").await?;
    let wanted: Body = body::parse(&bytes)?;
    let follows = match wanted.parent {
        None => Follows::Leaf,
        Some(None) => Follows::Nothing,
        Some(Some(parent)) => Follows::Message(parsed("parent", &parent)?),
    };
    let Body { model, stream, max_output_tokens, temperature, .. } = wanted;
    let settings = settings(Again { model, stream, max_output_tokens, temperature })?;
    let (parts, is_stream) = (parts(wanted.content)?, settings.stream);
    let answering = call.app.conversations.say(call.caller()?, id, parts, follows, settings).await?;
    reply(call, answering, is_stream).await
}

/// Has an answer made once more.
pub(in crate::http) async fn again(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let (id, message) = (path(&mut call, "id").await?, path(&mut call, "message").await?);
    let settings = settings(body::parse(&bytes)?)?;
    let is_stream = settings.stream;
    let answering = call.app.conversations.regenerate(call.caller()?, id, message, settings).await?;
    reply(call, answering, is_stream).await
}

async fn reply(call: Call, answering: Answering, is_stream: bool) -> Result<Reply, ApiError> {
    if is_stream {
        let answering = answering.begin().await?;
        let (script, provider_time) = (Events::new(answering.begun().clone()), answering.provider_time());
        let (request_id, limits) = (call.request_id.clone(), &call.app.config.server);
        return Ok(sse::events(answering, provider_time, script, request_id, limits));
    }
    let (exchanged, provider_time) = answering.read().await?;
    let reply = answer::json_with(StatusCode::CREATED, &ExchangeView::from(&exchanged))?;
    Ok(reply.after(provider_time))
}

fn settings(asked: Again) -> Result<AnswerSettings, ApiError> {
    let Again { model, stream, max_output_tokens, temperature } = asked;
    if temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
        return Err(ApiError::invalid("temperature", "must be from 0 to 2"));
    }
    if max_output_tokens == Some(0) {
        return Err(ApiError::invalid("max_output_tokens", "must be at least 1"));
    }
    Ok(AnswerSettings { model, stream: stream.unwrap_or(false), max_output_tokens, temperature })
}

fn parts(content: Content) -> Result<Vec<NewPart>, ApiError> {
    let bodies = match content {
        Content::Text(text) => return Ok(vec![NewPart::Text(text)]),
        Content::Parts(bodies) => bodies,
    };
    let mut parts = Vec::with_capacity(bodies.len());
    for (i, part) in bodies.into_iter().enumerate() {
        let at = |member: &str| format!("content[{i}].{member}");
        let missing = |member: &str| ApiError::MissingParameter { param: at(member) };
        parts.push(match (part.r#type.as_str(), part.text, part.file_id) {
            ("text", Some(text), None) => NewPart::Text(text),
            ("text", None, None) => return Err(missing("text")),
            ("text", _, Some(_)) => return Err(ApiError::invalid(at("file_id"), "a text has none")),
            ("file", None, Some(id)) => NewPart::File(prefix::read(prefix::FILE, &id, "such file")?),
            ("file", None, None) => return Err(missing("file_id")),
            ("file", Some(_), _) => return Err(ApiError::invalid(at("text"), "a file has none")),
            _ => return Err(ApiError::invalid(at("type"), "must be \"text\" or \"file\"")),
        });
    }
    Ok(parts)
}

const EVENTS: &str = "event: text\ndata: {\"type\":\"text\",\"text\":\"Paris\"}\n\n";

fn answered(operation: Operation) -> Operation {
    operation
        .answers::<ExchangeView<'_>>(
            201,
            "The question and its answer, whole.",
            json!({"question": sample_question(), "message": sample_answer()}),
        )
        .empty(200, "With `\"stream\": true`: the answer in events, from `started` to `finished`.")
        .or_events::<Event<'_>>(EVENTS)
        .refuses(&[409])
        .calls_provider()
}

/// What the reference says of asking.
pub(in crate::http) fn describe() -> Operation {
    let operation = Operation::new("createConversationMessage", Tag::Conversations, "Say something, and be answered")
        .about(
            "Stores your message with its answer, which is then made: it is `pending` until it is `complete`, and says so if it `failed`, if you \
             left (`canceled`, with what had come by then) or if the server stopped (`interrupted`). It costs what the same chat costs. An answer that \
             failed without a word does not become the end of the branch.",
        )
        .path("id", id(), "The conversation.")
        .takes::<Body>(json!({"content": "What is the capital of France?", "model": "local/smollm2-135m-instruct"}));
    answered(operation)
}

/// What the reference says of answering once more.
pub(in crate::http) fn describe_again() -> Operation {
    let operation = Operation::new("regenerateConversationMessage", Tag::Conversations, "Answer once more")
        .about(
            "Makes another answer beside those that there are, which becomes the end of the current branch.",
        )
        .path("id", id(), "The conversation.")
        .path("message", id(), "The answer to make again, or the message that it answers.")
        .takes::<Again>(json!({"stream": false}));
    answered(operation)
}
