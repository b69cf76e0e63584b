//! `POST /v1/chat/completions` (OpenAI API, chat completions).

pub(super) mod extra;
mod message;
pub(super) mod options;
mod request;
mod response;
pub(super) mod schema;
mod stream;

use std::sync::Arc;

use atelier_domain::generation::chat::ChatEvent;
use atelier_domain::model::Task;
use atelier_service::generation::Live;
use atelier_service::generation::answer::ChatAnswer;
use bytes::Bytes;
use futures::future::try_join_all;
use serde_json::json;

use super::files::used;
use super::openapi::{Operation, Tag};
use super::{ApiError, Call, Reply, answer, sse};
use crate::app::App;
use request::Wanted;

/// Bodies above this size hold media, whose decoding and hashing would hold up an async thread.
const INLINE_BYTES_MAX: usize = 256 * 1024;

/// Answers a conversation, whole or as it is made.
pub(super) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let body = call.read_json().await?;
    let wanted = off_thread(body, Wanted::read).await?;
    let caller = call.caller()?;
    let app = &call.app;
    let resolved = app.generations.resolve(caller, &wanted.model, Task::Chat).await?;
    let mut request = wanted.request;
    if !wanted.files.is_empty() {
        used::into_messages(app, caller, wanted.files, &mut request.messages).await?;
    }
    request.options = wanted.options.merge(resolved.model.options())?;
    if request.stream {
        let live = app.generations.chat(caller, resolved, request)?.begin().await?;
        return Ok(streamed(app, &call.request_id, live, wanted.include_usage));
    }
    let mut answering = Vec::with_capacity(wanted.choices as usize);
    for _ in 1..wanted.choices {
        answering.push(ChatAnswer::read(app.generations.chat(caller, resolved.clone(), request.clone())?));
    }
    answering.push(ChatAnswer::read(app.generations.chat(caller, resolved, request)?));
    let answers = try_join_all(answering).await?;
    whole(app, &answers)
}

/// Answers with an answer that has begun, as it is made.
pub(super) fn streamed(
    app: &App,
    request_id: &Arc<str>,
    live: Live<ChatEvent>,
    include_usage: bool,
) -> Reply {
    let model = live.model.clone();
    let script = stream::Chunks::new(model.id.as_str(), app.clock.now(), include_usage);
    sse::stream(live, script, request_id.clone(), &app.config.server).by(model.id.as_str())
}

/// Answers with whole answers to one question.
pub(super) fn whole(app: &App, answers: &[ChatAnswer]) -> Result<Reply, ApiError> {
    let model = answers.first().map_or("", ChatAnswer::model_id);
    let reply = answer::json(&response::completion(answers, model, app.clock.now()))?.by(model);
    Ok(reply.after(answers.iter().map(|whole| whole.provider_time).max().unwrap_or_default()))
}

/// What the reference says of it.
pub(super) fn describe() -> Operation {
    let request = json!({"model": "local/smollm2-135m-instruct", "messages": [
        {"role": "system", "content": "Answer in one sentence."},
        {"role": "user", "content": "What is the capital of France?"}]});
    Operation::new("createChatCompletion", Tag::Chat, "Chat (OpenAI)")
        .about(
            "Continues a conversation with any chat model. With `\"stream\": true` the answer comes in events as it is made, the last \
             of them `data: [DONE]`. Members that a model does not know are refused with their name; what a provider offers \
             beyond this API goes into `options`.",
        )
        .takes::<request::Body<'_>>(request)
        .answers_chat("The answer, whole or in events.")
        .calls_provider()
}

impl Operation {
    /// Answers with a completion, or with its chunks.
    pub(super) fn answers_chat(self, about: &str) -> Self {
        let completion = json!({"id": "chatcmpl-019ab0c3e5f07d0aa1b2c3d4e5f60718", "object": "chat.completion",
        "created": 1_795_305_600, "model": "local/smollm2-135m-instruct", "choices": [{"index": 0, "logprobs": null,
        "finish_reason": "stop", "message": {"role": "assistant", "content": "The capital of France is Paris.", "refusal": null}}],
        "usage": {"prompt_tokens": 31, "completion_tokens": 7, "total_tokens": 38,
        "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}}});
        const EVENTS: &str = "data: {\"id\":\"chatcmpl-019ab0c3e5f07d0aa1b2c3d4e5f60718\",\"object\":\"chat.completion.chunk\",\
        \"created\":1795305600,\"model\":\"local/smollm2-135m-instruct\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Paris\"},\
        \"logprobs\":null,\"finish_reason\":null}]}\n\ndata: [DONE]\n\n";
        self.answers::<response::Completion<'_>>(200, about, completion)
            .or_events::<stream::Chunk<'_>>(EVENTS)
    }
}

/// Reads a body, on a blocking thread if it is large.
pub(super) async fn off_thread<T: Send + 'static>(
    body: Bytes,
    read: fn(&[u8]) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    if body.len() <= INLINE_BYTES_MAX {
        return read(&body);
    }
    let reading = tokio::task::spawn_blocking(move || read(&body));
    reading.await.map_err(|error| ApiError::bug(format!("reading a body stopped unexpectedly: {error}")))?
}
