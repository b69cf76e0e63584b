//! `POST /v1/messages` and `POST /v1/messages/count_tokens` (Anthropic API, messages).

mod message;
mod request;
mod response;
mod stream;

use atelier_domain::model::Task;
use atelier_service::generation::answer::ChatAnswer;
use serde_json::json;

use super::chat_completions::off_thread;
use super::openapi::{Operation, Tag};
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
    let is_stream = request.stream;
    let live = app.generations.chat(caller, resolved, request)?;
    if is_stream {
        let live = live.begin().await?;
        let model = live.model.clone();
        let script = stream::Blocks::new(model.id.as_str());
        return Ok(
            sse::stream(live, script, call.request_id.clone(), &app.config.server).by(model.id.as_str())
        );
    }
    let whole = ChatAnswer::read(live).await?;
    let reply = answer::json(&response::message(&whole, whole.model_id())?)?;
    Ok(reply.by(whole.model_id()).after(whole.provider_time))
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
    answer::json(&response::Count { input_tokens })
}

/// What the reference says of counting.
pub(super) fn describe_count() -> Operation {
    let request = json!({"model": "local/smollm2-135m-instruct",
        "messages": [{"role": "user", "content": "What is the capital of France?"}]});
    Operation::new("countMessageTokens", Tag::Chat, "Count tokens (Anthropic)")
        .about(
            "Tells how many tokens a request for a message has: by the provider's own count where it counts, else by an estimate of one \
             token for four bytes.",
        )
        .takes::<request::CountSchema>(request)
        .answers::<response::Count>(200, "The count.", json!({"input_tokens": 31}))
        .calls_provider()
}

/// What the reference says of it.
pub(super) fn describe() -> Operation {
    let request = json!({"model": "local/smollm2-135m-instruct", "max_tokens": 64, "system": "Answer in one sentence.",
        "messages": [{"role": "user", "content": "What is the capital of France?"}]});
    let message = json!({"id": "msg_019ab0c3e5f07d0aa1b2c3d4e5f60718", "type": "message", "role": "assistant",
        "model": "local/smollm2-135m-instruct", "content": [{"type": "text", "text": "The capital of France is Paris."}],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 31, "cache_read_input_tokens": 0, "output_tokens": 7}});
    const EVENTS: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
        {\"type\":\"text_delta\",\"text\":\"Paris\"}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    Operation::new("createMessage", Tag::Chat, "Chat (Anthropic)")
        .about(
            "Continues a conversation with any chat model, in Anthropic's dialect. With `\"stream\": true` the answer comes in events, \
             from `message_start` to `message_stop`.",
        )
        .takes::<request::Body<'_>>(request)
        .answers::<response::MessageView<'_>>(200, "The answer, whole or in events.", message)
        .or_events::<stream::Event>(EVENTS)
        .calls_provider()
}
