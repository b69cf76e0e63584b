//! `POST /api/v1/webhook-endpoints/{id}/remove`.

use http::StatusCode;

use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, gate};

/// Removes one of the caller's endpoints.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    call.app.webhooks.remove(call.caller()?, id).await?;
    Ok(gate::empty(StatusCode::NO_CONTENT))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("removeWebhookEndpoint", Tag::Webhooks, "Remove a webhook endpoint")
        .about("What waits for it is not sent any more.")
        .path("id", id(), "The endpoint.")
        .empty(204, "It is removed.")
        .refuses(&[404])
}
