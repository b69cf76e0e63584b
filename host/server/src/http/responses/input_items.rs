//! `GET /v1/responses/{id}/input_items?after=ID&limit=N&order=asc|desc`.

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::{PartialSchema, ToSchema};

use super::{named, response_id};
use crate::http::openapi::{Operation, Tag, number, text};
use crate::http::query::{OrderWord, newest_first, page_size, query};
use crate::http::{ApiError, Call, Reply, answer};

/// As in OpenAI's API.
const PAGE_USUAL: usize = 20;
const PAGE_MAX: usize = 100;
const ID_CHARACTERS_MAX: usize = 128;

#[derive(Serialize, ToSchema)]
#[schema(as = ResponseInputItems)]
struct Page<'a> {
    object: &'static str,
    #[schema(value_type = Vec<Object>)]
    data: Vec<&'a RawValue>,
    #[schema(required)]
    first_id: Option<String>,
    /// What to send as `after` for the next page.
    #[schema(required)]
    last_id: Option<String>,
    has_more: bool,
}

/// What an answer was an answer to: the items of its request, and of those that it goes on from.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["after", "limit", "order", "include", "include[]"])?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let newest_first = newest_first(&query)?;
    let kept = named(&mut call).await?;
    let earlier = match kept.previous {
        Some(previous) => call.app.responses.chain(call.caller()?, previous).await?,
        None => Vec::new(),
    };
    let before = earlier.iter().flat_map(|kept| kept.input.iter().chain(&kept.output));
    let mut items = Vec::new();
    for item in before.chain(&kept.input) {
        let raw: &RawValue = serde_json::from_str(item).map_err(|error| ApiError::bug(error.to_string()))?;
        items.push((id_of(item), raw));
    }
    if newest_first {
        items.reverse();
    }
    let from = match query.get("after") {
        None => 0,
        Some(after) => match items.iter().position(|(id, _)| id.as_ref() == Some(after)) {
            Some(at) => at + 1,
            None => return Err(ApiError::invalid("after", "there is no such item")),
        },
    };
    let page: Vec<_> = items.iter().skip(from).take(limit).collect();
    answer::json(&Page {
        object: "list",
        first_id: page.first().and_then(|(id, _)| id.clone()),
        last_id: page.last().and_then(|(id, _)| id.clone()),
        data: page.iter().map(|(_, raw)| *raw).collect(),
        has_more: items.len() > from + limit,
    })
}

fn id_of(item: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        id: Option<String>,
    }
    serde_json::from_str::<Named>(item).ok()?.id
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let page = json!({"object": "list", "data": [{"type": "message", "id": "msg_019ab0c3e5f07d0aa1b2c3d4e5f60718", "role": "user",
        "status": "completed", "content": [{"type": "input_text", "text": "What is the capital of France?"}]}],
        "first_id": "msg_019ab0c3e5f07d0aa1b2c3d4e5f60718", "last_id": "msg_019ab0c3e5f07d0aa1b2c3d4e5f60718", "has_more": false});
    Operation::new("listResponseInputItems", Tag::Chat, "List what a kept response answers (OpenAI)")
        .path("id", response_id(), "The response.")
        .query("after", text(ID_CHARACTERS_MAX), "Begin after this item: the `last_id` of the page before.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .query("order", OrderWord::schema(), "As they were said; `desc`, newest first, if it is not sent.")
        .answers::<Page<'_>>(200, "A page of items.", page)
        .refuses(&[404])
}
