//! `POST /api/v1/webhook-endpoints/{id}`.

use atelier_service::webhooks::EndpointChange;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::kinds;
use super::view::{EndpointView, EventWord, sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer, body};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointChange)]
struct Body {
    /// `https://…` at a public address.
    #[schema(max_length = 2048)]
    url: Option<String>,
    /// For people.
    #[schema(max_length = 200)]
    description: Option<String>,
    #[schema(inline, value_type = Option<Vec<EventWord>>, min_items = 1)]
    events: Option<Vec<String>>,
    /// `false` stops it; `true` lets it go on, whatever failed before.
    enabled: Option<bool>,
}

/// Changes one of the caller's endpoints; what is absent stays.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let id = path(&mut call, "id").await?;
    let wanted: Body = body::parse(&bytes)?;
    let change = EndpointChange {
        url: wanted.url,
        description: wanted.description,
        events: wanted.events.as_deref().map(kinds).transpose()?,
        is_enabled: wanted.enabled,
    };
    let changed = call.app.webhooks.change(call.caller()?, id, change).await?;
    answer::json(&EndpointView::from(&changed))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("changeWebhookEndpoint", Tag::Webhooks, "Change a webhook endpoint")
        .about("What is not sent stays as it is. Messages that wait go to the new address.")
        .path("id", id(), "The endpoint.")
        .takes::<Body>(json!({"enabled": true}))
        .answers::<EndpointView<'_>>(200, "The endpoint as it is now.", sample())
        .refuses(&[404])
}
