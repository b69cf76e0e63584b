//! `GET /api/v1/links?before=ID&limit=N`.

use atelier_domain::id::LinkId;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{LinkView, sample};
use crate::http::openapi::{Operation, Tag, id, number};
use crate::http::query::{page_size, parsed, query};
use crate::http::{ApiError, Call, Reply, answer};

const PAGE_USUAL: usize = 20;
const PAGE_MAX: usize = 100;

#[derive(Serialize, ToSchema)]
#[schema(as = LinkPage)]
struct Page<'a> {
    data: Vec<LinkView<'a>>,
    /// What to send as `before` for the next page; `null` on the last.
    #[schema(required)]
    next: Option<String>,
}

/// The caller's links, newest first.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["before", "limit"])?;
    let before = query.get("before").map(|text| parsed::<LinkId>("before", text)).transpose()?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let mut links = call.app.links.list(call.caller()?, before, limit + 1).await?;
    let has_more = links.len() > limit;
    links.truncate(limit);
    let next = has_more.then(|| links.last().map(|link| link.id.to_string())).flatten();
    answer::json(&Page { data: links.iter().map(|link| LinkView::new(&call.app, link)).collect(), next })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("listLinks", Tag::Links, "List your links")
        .about("Newest first; those that have expired are no longer among them after a while.")
        .query("before", id(), "Begin after this link: the `next` of the page before.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .answers::<Page<'_>>(200, "A page of links.", json!({"data": [sample()], "next": null}))
}
