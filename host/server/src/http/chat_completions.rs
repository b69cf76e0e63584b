//! `POST /v1/chat/completions` (OpenAI API, chat completions).

pub(super) mod extra;
mod message;
pub(super) mod options;
mod request;
mod response;
mod stream;

use atelier_domain::model::Task;
use atelier_service::generation::answer::ChatAnswer;
use bytes::Bytes;
use futures::future::try_join_all;

use super::{ApiError, Call, Reply, answer, sse};
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
    request.options = wanted.options.merge(resolved.model.options())?;
    let (model, is_stream) = (resolved.model.clone(), request.stream);
    if is_stream {
        let live = app.generations.chat(caller, resolved, request)?.begin().await?;
        let script = stream::Chunks::new(model.id.as_str(), app.clock.now(), wanted.include_usage);
        return Ok(sse::stream(live, script, call.request_id.clone(), app.config.server.stream_idle_max));
    }
    let mut answering = Vec::with_capacity(wanted.choices as usize);
    for _ in 1..wanted.choices {
        answering.push(ChatAnswer::read(app.generations.chat(caller, resolved.clone(), request.clone())?));
    }
    answering.push(ChatAnswer::read(app.generations.chat(caller, resolved, request)?));
    let answers = try_join_all(answering).await?;
    let reply = answer::json(&response::completion(&answers, model.id.as_str(), app.clock.now()))?;
    Ok(reply.after(answers.iter().map(|whole| whole.provider_time).max().unwrap_or_default()))
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
