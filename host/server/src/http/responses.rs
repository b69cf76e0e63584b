//! `/v1/responses` (OpenAI API, responses): answers, kept to be gone on from where the caller and the operator want that.

pub(super) mod delete;
pub(super) mod get;
pub(super) mod input_items;
mod item;
mod items;
mod request;
mod response;
mod stream;

use std::sync::Arc;

use atelier_domain::id::ResponseId;
use atelier_domain::model::Task;
use atelier_domain::response::StoredResponse;
use atelier_service::caller::Caller;
use atelier_service::generation::answer::ChatAnswer;
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

use super::chat_completions::off_thread;
use super::files::used;
use super::openapi::{Operation, Tag};
use super::query::path;
use super::{ApiError, Call, Reply, answer, prefix, sse};
use crate::app::App;
use items::Keeper;
use request::Wanted;
use response::Head;

/// Answers a conversation, whole or as it is made.
pub(super) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let body = call.read_json().await?;
    let wanted = off_thread(body, Wanted::read).await?;
    let caller = call.caller()?;
    let app = &call.app;
    let resolved = app.generations.resolve(caller, &wanted.model, Task::Chat).await?;
    let (mut request, mut files) = (wanted.request, wanted.files);
    if let Some(previous) = wanted.previous {
        let chain = earlier(app, caller, previous).await?;
        items::go_on(&chain, wanted.echo.instructions.is_some(), &mut request.messages, &mut files)?;
    }
    if !files.is_empty() {
        used::into_messages(app, caller, files, &mut request.messages).await?;
    }
    request.options = wanted.options.merge(resolved.model.options())?;
    let is_stream = request.stream;
    let id = ResponseId::new();
    let keeper = wanted.kept.filter(|_| app.responses.is_kept()).map(|input| Keeper {
        responses: app.responses.clone(),
        id,
        owner: caller.user(),
        previous: wanted.previous,
        input,
    });
    let (is_kept, previous, echo) = (keeper.is_some(), wanted.previous, wanted.echo);
    // Which model answers is known when it begins to: an alias leads to several.
    let head = |model: &str| Head::new(id, model, app.clock.now(), echo).with_state(is_kept, previous);
    let live = app.generations.chat(caller, resolved, request)?;
    if is_stream {
        let live = live.begin().await?;
        let model = live.model.clone();
        let script = stream::Events::new(head(model.id.as_str()), keeper);
        let reply = sse::stream(live, script, call.request_id.clone(), &app.config.server);
        return Ok(reply.by(model.id.as_str()));
    }
    let whole = ChatAnswer::read(live).await?;
    let head = head(whole.model_id());
    let view = head.finished(response::output(&whole), whole.finish.as_ref(), whole.tokens());
    if let Some(keeper) = keeper {
        keeper.keep(&view);
    }
    Ok(answer::json(&view)?.by(whole.model_id()).after(whole.provider_time))
}

/// What was said before a request, oldest first.
async fn earlier(app: &App, caller: &Caller, id: ResponseId) -> Result<Vec<Arc<StoredResponse>>, ApiError> {
    if !app.responses.is_kept() {
        let message = "answers are not kept here: send the whole conversation as `input`";
        return Err(ApiError::invalid("previous_response_id", message));
    }
    Ok(app.responses.chain(caller, id).await?)
}

fn read(id: &str) -> Result<ResponseId, ApiError> {
    prefix::read(prefix::RESPONSE, id, "such response")
}

/// The caller's kept answer that the path names.
async fn named(call: &mut Call) -> Result<Arc<StoredResponse>, ApiError> {
    let id: String = path(call, "id").await?;
    Ok(call.app.responses.get(call.caller()?, read(&id)?).await?)
}

/// The schema of an answer's id.
fn response_id() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^resp_[0-9a-f]{32}$")).into()
}

/// The same where there may be none.
fn optional_response_id() -> RefOr<Schema> {
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types).pattern(Some("^resp_[0-9a-f]{32}$")).into()
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
            "OpenAI's responses. An answer is kept for a time unless `\"store\": false` is sent or the operator keeps none, and \
             `previous_response_id` goes on from it. With `\"stream\": true` the answer comes in numbered, typed events, from `response.created` to `response.completed` or \
             `response.incomplete`.",
        )
        .takes::<request::Body<'_>>(request)
        .answers::<response::ResponseView<'_>>(200, "The answer, whole or in events.", response)
        .or_events::<stream::Event>(EVENTS)
        .calls_provider()
}
