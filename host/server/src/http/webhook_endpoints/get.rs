//! `GET /api/v1/webhook-endpoints/{id}`.

use super::view::{EndpointView, sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer};

/// One of the caller's endpoints.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let endpoint = call.app.webhooks.get(call.caller()?, id).await?;
    answer::json(&EndpointView::from(&endpoint))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getWebhookEndpoint", Tag::Webhooks, "Get a webhook endpoint")
        .path("id", id(), "The endpoint.")
        .answers::<EndpointView<'_>>(200, "The endpoint as it is now.", sample())
        .refuses(&[404])
}
