//! `GET /v1/responses/{id}`.

use axum::body::Bytes;
use http::StatusCode;
use http::header::HeaderValue;
use serde_json::json;

use super::response::ResponseView;
use super::{named, response_id};
use crate::http::openapi::{Operation, Tag};
use crate::http::query::query;
use crate::http::{ApiError, Call, Reply, answer};

/// A kept answer, as it was given.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let known = ["include", "include[]", "include_obfuscation", "starting_after", "stream"];
    let query = query(&call.parts.uri, &known)?;
    if query.get("stream").is_some_and(|stream| stream != "false") || query.contains_key("starting_after") {
        return Err(ApiError::invalid("stream", "events are not kept: ask for the answer itself"));
    }
    let kept = named(&mut call).await?;
    let body = Bytes::from(kept.answer.clone());
    Ok(answer::bytes(StatusCode::OK, HeaderValue::from_static("application/json"), body).into())
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let response = json!({"id": "resp_019ab0c3e5f07d0aa1b2c3d4e5f60718", "object": "response", "created_at": 1_795_305_600,
        "status": "completed", "error": null, "incomplete_details": null, "instructions": null, "max_output_tokens": null,
        "model": "local/smollm2-135m-instruct", "output": [], "parallel_tool_calls": true, "previous_response_id": null,
        "store": true, "temperature": null, "top_p": null, "tool_choice": null, "tools": null, "metadata": null, "usage": null});
    Operation::new("getResponse", Tag::Chat, "Get a kept response (OpenAI)")
        .path("id", response_id(), "The response.")
        .answers::<ResponseView<'_>>(200, "The answer as it was given.", response)
        .refuses(&[404])
}
