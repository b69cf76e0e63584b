//! `GET /v1/batches?after=ID&limit=N`.

use atelier_domain::batch::Batch;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{BatchView, sample};
use super::{batch_id, read};
use crate::http::openapi::{Operation, Tag, number};
use crate::http::query::{page_size, query};
use crate::http::{ApiError, Call, Reply, answer, prefix};

/// As in OpenAI's API.
const PAGE_USUAL: usize = 20;
const PAGE_MAX: usize = 100;

#[derive(Serialize, ToSchema)]
#[schema(as = BatchList)]
struct Page<'a> {
    object: &'static str,
    data: Vec<BatchView<'a>>,
    #[schema(required)]
    first_id: Option<String>,
    /// What to send as `after` for the next page.
    #[schema(required)]
    last_id: Option<String>,
    has_more: bool,
}

/// The caller's batches, newest first.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["after", "limit"])?;
    let after = query.get("after").map(|text| read(text)).transpose()?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let mut batches = call.app.batches.list(call.caller()?, after, limit + 1).await?;
    let has_more = batches.len() > limit;
    batches.truncate(limit);
    let id = |batch: &Batch| prefix::of(prefix::BATCH, &batch.id.simple());
    answer::json(&Page {
        object: "list",
        first_id: batches.first().map(id),
        last_id: batches.last().map(id),
        data: batches.iter().map(BatchView::from).collect(),
        has_more,
    })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let page = json!({"object": "list", "data": [sample("completed")], "first_id": "batch_019ab0c3e5f07d0aa1b2c3d4e5f60718",
        "last_id": "batch_019ab0c3e5f07d0aa1b2c3d4e5f60718", "has_more": false});
    Operation::new("listBatches", Tag::Batches, "List your batches")
        .about("Newest first.")
        .query("after", batch_id(), "Begin after this batch: the `last_id` of the page before.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .answers::<Page<'_>>(200, "A page of batches.", page)
        .refuses(&[404])
}
