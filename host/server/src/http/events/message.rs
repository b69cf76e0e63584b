//! An event as JSON.

use atelier_domain::event::{Event, JobSnapshot};
use atelier_domain::webhook::Message;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::http::openapi::{id, words};

/// What happened, and the job as it then was. The same in feeds and in webhooks.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(in crate::http) struct EventView<'a> {
    #[serde(rename = "type")]
    #[schema(inline, value_type = EventWord)]
    kind: &'static str,
    #[schema(format = DateTime)]
    timestamp: String,
    /// Its place among all events of your jobs, from 1 without a gap.
    sequence: u64,
    data: SnapshotView<'a>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EventGeneration)]
struct SnapshotView<'a> {
    #[schema(schema_with = id)]
    id: String,
    state: &'static str,
    model: &'a str,
    task: &'a str,
    /// From 0 to 1, where the provider tells it.
    #[schema(required)]
    progress: Option<f64>,
    #[schema(format = DateTime)]
    created: String,
    #[schema(required, format = DateTime)]
    started: Option<String>,
    #[schema(required, format = DateTime)]
    finished: Option<String>,
    /// How many outputs it has.
    outputs: u32,
    /// The `x-request-id` of the request that began it; `null` for what began before that was noted.
    #[schema(required)]
    request_id: Option<&'a str>,
    #[schema(required)]
    error: Option<ErrorView<'a>>,
    /// Where all of it is.
    url: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EventError)]
struct ErrorView<'a> {
    code: &'a str,
    /// At most 500 characters of it.
    message: &'a str,
}

words! {
    EventWord: "generation.queued" | "generation.processing" | "generation.progress" | "generation.succeeded"
        | "generation.failed" | "generation.canceled";
}

impl<'a> From<&'a Event> for EventView<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            kind: event.kind.as_str(),
            timestamp: event.time.rfc3339(),
            sequence: event.sequence,
            data: SnapshotView::from(&event.job),
        }
    }
}

impl<'a> From<&'a JobSnapshot> for SnapshotView<'a> {
    fn from(job: &'a JobSnapshot) -> Self {
        Self {
            id: job.id.to_string(),
            state: job.state.as_str(),
            model: &job.model,
            task: &job.task,
            progress: job.progress,
            created: job.created.rfc3339(),
            started: job.started.map(|moment| moment.rfc3339()),
            finished: job.finished.map(|moment| moment.rfc3339()),
            outputs: job.outputs,
            request_id: job.request_id.as_deref(),
            error: job.error.as_ref().map(|error| ErrorView { code: &error.code, message: &error.message }),
            url: format!("/api/v1/generations/{}", job.id),
        }
    }
}

/// The body of a webhook.
pub(crate) fn body(message: &Message) -> Vec<u8> {
    let body = match message {
        Message::Event(event) => serde_json::to_vec(&EventView::from(&**event)),
        Message::Test { time, .. } => serde_json::to_vec(&json!({
            "type": message.kind(),
            "timestamp": time.rfc3339(),
            "data": {"message": "This endpoint works."},
        })),
    };
    body.expect("our own types are JSON, and memory takes all")
}
