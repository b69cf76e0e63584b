//! `POST /v1/responses` (OpenAI API, responses), without state: the caller sends the whole conversation.

mod item;
mod request;
mod response;
mod stream;

use atelier_domain::model::Task;
use atelier_service::generation::answer::ChatAnswer;

use serde_json::json;

use super::chat_completions::off_thread;
use super::files::used;
use super::openapi::{Operation, Tag};
use super::{ApiError, Call, Reply, answer, sse};
use request::Wanted;
use response::Head;

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
    let is_stream = request.stream;
    let live = app.generations.chat(caller, resolved, request)?;
    if is_stream {
        let live = live.begin().await?;
        let model = live.model.clone();
        let script = stream::Events::new(Head::new(model.id.as_str(), app.clock.now(), wanted.echo));
        let reply = sse::stream(live, script, call.request_id.clone(), &app.config.server);
        return Ok(reply.by(model.id.as_str()));
    }
    let whole = ChatAnswer::read(live).await?;
    let head = Head::new(whole.model_id(), app.clock.now(), wanted.echo);
    let reply =
        answer::json(&head.finished(response::output(&whole), whole.finish.as_ref(), whole.tokens()))?;
    Ok(reply.by(whole.model_id()).after(whole.provider_time))
}

/// What the reference says of it.
pub(super) fn describe() -> Operation {
    let request = json!({"model": "local/smollm2-135m-instruct", "instructions": "Answer in one sentence.",
        "input": "What is the capital of France?"});
    let response = json!({"id": "resp_019ab0c3e5f07d0aa1b2c3d4e5f60718", "object": "response", "created_at": 1_795_305_600,
        "status": "completed", "error": null, "incomplete_details": null, "instructions": "Answer in one sentence.",
        "max_output_tokens": null, "model": "local/smollm2-135m-instruct", "output": [{"type": "message",
        "id": "msg_019ab0c3e5f07d0aa1b2c3d4e5f60719", "status": "completed", "role": "assistant",
        "content": [{"type": "output_text", "text": "The capital of France is Paris.", "annotations": []}]}],
        "parallel_tool_calls": true, "previous_response_id": null, "store": false, "temperature": null, "top_p": null,
        "tool_choice": null, "tools": null, "metadata": null, "usage": {"input_tokens": 31,
        "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 38}});
    const EVENTS: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\
        \"item_id\":\"msg_019ab0c3e5f07d0aa1b2c3d4e5f60719\",\"output_index\":0,\"content_index\":0,\"delta\":\"Paris\"}\n\n";
    Operation::new("createResponse", Tag::Chat, "Respond (OpenAI)")
        .about(
            "OpenAI's responses, without state: the caller sends the whole conversation as `input`, and nothing is stored. With \
             `\"stream\": true` the answer comes in numbered, typed events, from `response.created` to `response.completed` or \
             `response.incomplete`.",
        )
        .takes::<request::Body<'_>>(request)
        .answers::<response::ResponseView<'_>>(200, "The answer, whole or in events.", response)
        .or_events::<stream::Event>(EVENTS)
        .calls_provider()
}
