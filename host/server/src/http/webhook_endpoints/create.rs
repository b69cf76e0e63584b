//! `POST /api/v1/webhook-endpoints`.

use atelier_domain::event::EventKind;
use atelier_service::webhooks::NewEndpoint;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::kinds;
use super::view::{EventWord, MadeView, made_sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer, body};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhookEndpoint)]
struct Body {
    /// `https://…` at a public address.
    #[schema(max_length = 2048)]
    url: String,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 200)]
    description: String,
    /// What it is told of; if absent, how jobs end.
    #[schema(inline, value_type = Option<Vec<EventWord>>, min_items = 1)]
    events: Option<Vec<String>>,
}

/// Makes an endpoint of the caller's.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let wanted: Body = body::parse(&bytes)?;
    let events = match &wanted.events {
        Some(words) => kinds(words)?,
        None => EventKind::ALL.into_iter().filter(|kind| kind.is_final()).collect(),
    };
    let endpoint = NewEndpoint { url: wanted.url, description: wanted.description, events };
    let made = call.app.webhooks.create(call.caller()?, endpoint).await?;
    answer::json_with(StatusCode::CREATED, &MadeView::from(&made))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("createWebhookEndpoint", Tag::Webhooks, "Make a webhook endpoint")
        .about(
            "Each event of your jobs that it wants is sent there by `POST`, signed as Standard Webhooks says (headers `webhook-id`, \
             `webhook-timestamp`, `webhook-signature`); the body is the same as in `GET /api/v1/events`. A message comes at least once and in \
             no promised order: know it by `webhook-id`. Answer 2xx within 15 seconds. Whatever else is tried again for about three days; \
             redirects are not followed. An endpoint at which everything has failed for five days, or that answers 410, is disabled until \
             you enable it. The answer shows the secret, and nothing ever shows it again.",
        )
        .takes::<Body>(json!({"url": "https://example.com/atelier", "description": "the shop",
            "events": ["generation.succeeded", "generation.failed", "generation.canceled"]}))
        .answers::<MadeView<'_>>(201, "The endpoint, with its secret.", made_sample())
}
