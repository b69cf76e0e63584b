//! `GET /api/v1/credits/entries`.

use atelier_domain::id::EntryId;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{EntryView, sample_entry};
use super::{ABOUT_USER, user};
use crate::http::keys::owner;
use crate::http::openapi::{Operation, Tag, id, number};
use crate::http::query::{page_size, parsed, query};
use crate::http::{ApiError, Call, Reply, answer};

const PAGE_USUAL: usize = 20;
const PAGE_MAX: usize = 100;

#[derive(Serialize, ToSchema)]
#[schema(as = CreditEntryPage)]
struct Page<'a> {
    data: Vec<EntryView<'a>>,
    /// What to send as `before` for the next page; `null` on the last.
    #[schema(required)]
    next: Option<String>,
}

/// The movements of a user's money, newest first.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["before", "limit", "user"])?;
    let before = query.get("before").map(|text| parsed::<EntryId>("before", text)).transpose()?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let owner = owner(&call.app, call.caller()?, query.get("user").map(String::as_str)).await?;
    let mut entries = call.app.ledger.entries(owner, before, limit + 1).await?;
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    let next = has_more.then(|| entries.last().map(|entry| entry.id.to_string())).flatten();
    answer::json(&Page { data: entries.iter().map(EntryView::from).collect(), next })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("listCreditEntries", Tag::Money, "List movements of your credits")
        .about("Newest first. Their sum is the balance.")
        .query("before", id(), "Begin after this entry: the `next` of the page before.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .query("user", user(), ABOUT_USER)
        .answers::<Page<'_>>(200, "A page of entries.", json!({"data": [sample_entry()], "next": null}))
        .refuses(&[404])
}
