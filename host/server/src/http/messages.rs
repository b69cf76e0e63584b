//! `POST /v1/messages` and `POST /v1/messages/count_tokens` (Anthropic API, messages).

mod request;
mod response;
mod stream;

use atelier_domain::model::Task;
use atelier_service::generation::answer::ChatAnswer;
use serde_json::json;

use super::chat_completions::off_thread;
use super::{ApiError, Call, Reply, answer, sse};
use request::Wanted;

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
    let live = app.generations.chat(caller, resolved, request)?;
    if is_stream {
        let live = live.begin().await?;
        let script = stream::Blocks::new(model.id.as_str());
        return Ok(sse::stream(live, script, call.request_id.clone(), app.config.server.stream_idle_max));
    }
    let whole = ChatAnswer::read(live).await?;
    let reply = answer::json(&response::message(&whole, model.id.as_str())?)?;
    Ok(reply.after(whole.provider_time))
}

/// Counts the tokens of a conversation: by the provider where it counts, else by the host's estimate.
pub(super) async fn count_tokens(mut call: Call) -> Result<Reply, ApiError> {
    let body = call.read_json().await?;
    let wanted = off_thread(body, Wanted::read_count).await?;
    let caller = call.caller()?;
    let generations = &call.app.generations;
    let resolved = generations.resolve(caller, &wanted.model, Task::Chat).await?;
    let mut request = wanted.request;
    request.options = wanted.options.merge(resolved.model.options())?;
    let input_tokens = generations.count_tokens(caller, resolved, request).await?;
    answer::json(&json!({"input_tokens": input_tokens}))
}
