//! `POST /api/v1/webhook-endpoints/{id}/deliveries/{delivery}/resend`.

use atelier_domain::store::DeliveryKey;
use http::StatusCode;

use super::view::{DeliveryView, delivery_sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer};

/// Sends a delivery again.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let endpoint = path(&mut call, "id").await?;
    let id = path(&mut call, "delivery").await?;
    let delivery = call.app.webhooks.send_again(call.caller()?, DeliveryKey { endpoint, id }).await?;
    answer::json_with(StatusCode::ACCEPTED, &DeliveryView::from(&delivery))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("resendWebhookDelivery", Tag::Webhooks, "Send a delivery again")
        .about("The same message with the same `webhook-id`, whatever became of it before, with all its retries before it.")
        .path("id", id(), "The endpoint.")
        .path("delivery", id(), "The delivery.")
        .answers::<DeliveryView<'_>>(202, "The delivery, on its way.", delivery_sample())
        .refuses(&[404])
}
