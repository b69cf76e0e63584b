//! Endpoints and deliveries as their owner sees them; secrets are not among it.

use atelier_domain::webhook::{Attempt, Delivery, DeliveryState};
use atelier_service::webhooks::{Made, Watched};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::http::openapi::{id, optional_id, words};

#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub(in crate::http) struct EndpointView<'a> {
    #[schema(schema_with = id)]
    id: String,
    url: &'a str,
    description: &'a str,
    #[schema(inline, value_type = Vec<EventWord>)]
    events: Vec<&'static str>,
    enabled: bool,
    /// Since when and why it is told nothing.
    #[schema(required)]
    disabled: Option<DisabledView>,
    /// Since when every attempt has failed.
    #[schema(required, format = DateTime)]
    failing_since: Option<String>,
    #[schema(format = DateTime)]
    created: String,
    /// Until when secrets before the current one sign beside it.
    #[schema(value_type = Vec<String>)]
    old_secrets_until: Vec<String>,
    /// Deliveries that wait.
    pending: u32,
    /// Messages that were not sent because too many waited.
    dropped: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpointDisabled)]
struct DisabledView {
    #[schema(format = DateTime)]
    since: String,
    #[schema(inline, value_type = ReasonWord)]
    reason: &'static str,
}

/// An endpoint with its new secret.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpointMade)]
pub(super) struct MadeView<'a> {
    #[serde(flatten)]
    endpoint: EndpointView<'a>,
    /// What messages are signed with (Standard Webhooks). Shown only now.
    secret: &'a str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub(in crate::http) struct DeliveryView<'a> {
    #[schema(schema_with = id)]
    pub(super) id: String,
    /// As in the header `webhook-id`: the same at every attempt and every endpoint.
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// The job that it is about; a test is about none.
    #[schema(required, schema_with = optional_id)]
    generation: Option<String>,
    #[schema(inline, value_type = DeliveryStateWord)]
    state: &'static str,
    #[schema(format = DateTime)]
    created: String,
    /// When it is tried next.
    #[schema(required, format = DateTime)]
    next_attempt: Option<String>,
    /// The newest first, 16 at most.
    attempts: Vec<AttemptView<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
struct AttemptView<'a> {
    #[schema(format = DateTime)]
    at: String,
    duration_ms: u64,
    /// What the endpoint answered.
    #[schema(required)]
    status: Option<u16>,
    /// Why there was no answer.
    #[schema(required)]
    error: Option<&'a str>,
    /// The beginning of the answer.
    #[schema(required)]
    excerpt: Option<&'a str>,
}

words! {
    EventWord: "generation.queued" | "generation.processing" | "generation.progress" | "generation.succeeded"
        | "generation.failed" | "generation.canceled";
    ReasonWord: "owner" | "failing" | "gone";
    DeliveryStateWord: "pending" | "succeeded" | "failed";
}

/// An endpoint, for the reference.
pub(super) fn sample() -> serde_json::Value {
    json!({"id": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "url": "https://example.com/atelier", "description": "the shop",
        "events": ["generation.succeeded", "generation.failed", "generation.canceled"], "enabled": true, "disabled": null,
        "failing_since": null, "created": "2026-11-22T00:00:00.000Z", "old_secrets_until": [], "pending": 0, "dropped": 0})
}

/// An endpoint just made, for the reference.
pub(super) fn made_sample() -> serde_json::Value {
    let mut made = sample();
    made["secret"] = "whsec_…".into();
    made
}

/// A delivery, for the reference.
pub(super) fn delivery_sample() -> serde_json::Value {
    json!({"id": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60719", "message": "msg_019ab0c3e5f07d0aa1b2c3d4e5f60720",
        "type": "generation.succeeded", "generation": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "state": "succeeded",
        "created": "2026-11-22T00:00:12.345Z", "next_attempt": null,
        "attempts": [{"at": "2026-11-22T00:00:12.350Z", "duration_ms": 48, "status": 204, "error": null, "excerpt": null}]})
}

impl<'a> From<&'a Watched> for EndpointView<'a> {
    fn from(watched: &'a Watched) -> Self {
        let endpoint = &watched.endpoint;
        let disabled = endpoint.disabled.map(|disabled| DisabledView {
            since: disabled.since.rfc3339(),
            reason: disabled.reason.as_str(),
        });
        Self {
            id: endpoint.id.to_string(),
            url: &endpoint.url,
            description: &endpoint.description,
            events: endpoint.events.iter().map(|kind| kind.as_str()).collect(),
            enabled: endpoint.disabled.is_none(),
            disabled,
            failing_since: endpoint.failing_since.map(|moment| moment.rfc3339()),
            created: endpoint.created.rfc3339(),
            old_secrets_until: endpoint
                .secrets
                .iter()
                .filter_map(|held| held.expires.map(|expires| expires.rfc3339()))
                .collect(),
            pending: watched.queue.pending,
            dropped: watched.queue.dropped,
        }
    }
}

impl<'a> From<&'a Made> for MadeView<'a> {
    fn from(made: &'a Made) -> Self {
        Self { endpoint: EndpointView::from(&made.endpoint), secret: made.secret.reveal() }
    }
}

impl<'a> From<&'a Delivery> for DeliveryView<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        use atelier_domain::webhook::Message;
        let generation = match &delivery.message {
            Message::Event(event) => Some(event.job.id.to_string()),
            Message::Test { .. } => None,
        };
        let is_pending = delivery.state == DeliveryState::Pending;
        Self {
            id: delivery.id.to_string(),
            message: format!("msg_{}", delivery.message.id().simple()),
            kind: delivery.message.kind(),
            generation,
            state: delivery.state.as_str(),
            created: delivery.created.rfc3339(),
            next_attempt: is_pending.then(|| delivery.next_at.rfc3339()),
            attempts: delivery.attempts.iter().rev().map(AttemptView::from).collect(),
        }
    }
}

impl<'a> From<&'a Attempt> for AttemptView<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        Self {
            at: attempt.at.rfc3339(),
            duration_ms: attempt.duration_ms,
            status: attempt.status,
            error: attempt.error.as_deref(),
            excerpt: attempt.excerpt.as_deref(),
        }
    }
}
