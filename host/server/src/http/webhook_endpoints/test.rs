//! `POST /api/v1/webhook-endpoints/{id}/test`.

use http::StatusCode;

use super::view::{DeliveryView, delivery_sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer};

/// Sends one of the caller's endpoints a message that says nothing.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let delivery = call.app.webhooks.test(call.caller()?, id).await?;
    answer::json_with(StatusCode::ACCEPTED, &DeliveryView::from(&delivery))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("testWebhookEndpoint", Tag::Webhooks, "Send a test")
        .about("Sends a message of the type `webhook.test`. Its delivery shows what became of it.")
        .path("id", id(), "The endpoint.")
        .answers::<DeliveryView<'_>>(202, "The delivery, on its way.", delivery_sample())
        .refuses(&[404])
}
