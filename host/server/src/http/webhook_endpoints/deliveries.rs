//! `GET /api/v1/webhook-endpoints/{id}/deliveries`.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{DeliveryView, delivery_sample};
use crate::http::openapi::{Operation, Tag, id, number};
use crate::http::query::{page_size, parsed, path, query};
use crate::http::{ApiError, Call, Reply, answer};

const PAGE_USUAL: usize = 20;
const PAGE_MAX: usize = 100;

#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDeliveryPage)]
struct Page<'a> {
    data: Vec<DeliveryView<'a>>,
    /// What to send as `before` for the next page; `null` on the last.
    #[schema(required)]
    next: Option<String>,
}

/// What was and is sent to one of the caller's endpoints, newest first.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let query = query(&call.parts.uri, &["before", "limit"])?;
    let before = query.get("before").map(|text| parsed("before", text)).transpose()?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let mut found = call.app.webhooks.deliveries(call.caller()?, id, before, limit + 1).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = has_more.then(|| found.last().map(|delivery| delivery.id.to_string())).flatten();
    answer::json(&Page { data: found.iter().map(DeliveryView::from).collect(), next })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("listWebhookDeliveries", Tag::Webhooks, "List an endpoint's deliveries")
        .about("Newest first, with what became of each attempt. They are listed for 30 days.")
        .path("id", id(), "The endpoint.")
        .query("before", id(), "Begin after this delivery: the `next` of the page before.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .answers::<Page<'_>>(200, "A page of deliveries.", json!({"data": [delivery_sample()], "next": null}))
        .refuses(&[404])
}
