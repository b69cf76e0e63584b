//! `POST /api/v1/webhook-endpoints/{id}/rotate`.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{MadeView, made_sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer, body};

const OVERLAP_HOURS: u64 = 24;
/// Far beyond what is let through, and far from where hours overflow.
const OVERLAP_HOURS_MAX: u64 = 1_000_000;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookRotation)]
struct Body {
    /// How long the old secret signs beside the new one; 24 if absent.
    #[schema(minimum = 0, maximum = 168)]
    overlap_hours: Option<u64>,
}

/// Gives an endpoint a new secret.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let id = path(&mut call, "id").await?;
    let wanted: Body = body::parse(&bytes)?;
    let hours = wanted.overlap_hours.unwrap_or(OVERLAP_HOURS).min(OVERLAP_HOURS_MAX);
    let overlap = Duration::from_secs(hours * 3600);
    let made = call.app.webhooks.rotate(call.caller()?, id, overlap).await?;
    answer::json(&MadeView::from(&made))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("rotateWebhookSecret", Tag::Webhooks, "Rotate a webhook endpoint's secret")
        .about(
            "Makes a new secret, shown only now. Until the overlap is over each message carries a signature by the old one too, so that a \
             receiver can change over without losing any; 0 ends the old one at once.",
        )
        .path("id", id(), "The endpoint.")
        .takes::<Body>(json!({"overlap_hours": 24}))
        .answers::<MadeView<'_>>(200, "The endpoint, with its new secret.", made_sample())
        .refuses(&[404])
}
