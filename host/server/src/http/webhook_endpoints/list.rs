//! `GET /api/v1/webhook-endpoints`.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{EndpointView, sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer};

#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpointList)]
struct List<'a> {
    data: Vec<EndpointView<'a>>,
}

/// The caller's endpoints: all, since they are few.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let endpoints = call.app.webhooks.list(call.caller()?).await?;
    answer::json(&List { data: endpoints.iter().map(EndpointView::from).collect() })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("listWebhookEndpoints", Tag::Webhooks, "List your webhook endpoints")
        .about("All of them, in the order of their making. Secrets are not among it.")
        .answers::<List<'_>>(200, "The endpoints.", json!({"data": [sample()]}))
}
