//! `GET /v1/fine_tuning/jobs/{id}/events?after=ID&limit=N`.

use atelier_domain::job::{Job, JobState};
use atelier_domain::time::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::list::{PAGE_MAX, PAGE_USUAL};
use super::view::made;
use super::{job_id, named};
use crate::http::openapi::{Operation, Tag, number, words};
use crate::http::query::{page_size, query};
use crate::http::{ApiError, Call, Reply, answer, prefix};

#[derive(Serialize, ToSchema)]
#[schema(as = FineTuningEventList)]
struct Page {
    object: &'static str,
    data: Vec<Event>,
    has_more: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FineTuningEvent)]
struct Event {
    #[schema(inline, value_type = EventWord)]
    object: &'static str,
    id: String,
    /// Unix seconds.
    created_at: u64,
    #[schema(inline, value_type = LevelWord)]
    level: &'static str,
    message: String,
    #[schema(inline, value_type = TypeWord)]
    r#type: &'static str,
}

words! {
    EventWord: "fine_tuning.job.event";
    LevelWord: "info" | "warn" | "error";
    TypeWord: "message";
}

/// What has happened to a training, newest first.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let job = named(&mut call).await?;
    let query = query(&call.parts.uri, &["after", "limit"])?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let mut events = events(&job);
    events.reverse();
    if let Some(after) = query.get("after") {
        let at = events.iter().position(|event| event.id == *after);
        let at = at.ok_or_else(|| ApiError::invalid("after", "is no event of this job"))?;
        events.drain(..=at);
    }
    let has_more = events.len() > limit;
    events.truncate(limit);
    answer::json(&Page { object: "list", data: events, has_more })
}

/// The events of a job, oldest first, as its row tells them: each has its place for good.
fn events(job: &Job) -> Vec<Event> {
    let event = |number: u32, at: Timestamp, level: &'static str, message: String| Event {
        object: "fine_tuning.job.event",
        id: prefix::of("ftevent-", &format!("{}{number:02}", job.id.simple())),
        created_at: at.unix_seconds(),
        level,
        message,
        r#type: "message",
    };
    let mut all = vec![event(0, job.created, "info", "The job was created.".to_owned())];
    all.extend(job.started.map(|at| event(1, at, "info", "The job was handed to its provider.".to_owned())));
    let Some(at) = job.finished else { return all };
    all.extend(match job.state {
        JobState::Succeeded => {
            let made = made(job).unwrap_or_default();
            Some(event(2, at, "info", format!("The job has made the model {made}.")))
        }
        JobState::Failed => {
            let why = job.error.as_ref().map_or("no reason is known", |error| error.message.as_str());
            Some(event(2, at, "error", format!("The job has failed: {why}")))
        }
        JobState::Canceled => Some(event(2, at, "warn", "The job was canceled.".to_owned())),
        JobState::Queued | JobState::Processing => None,
    });
    all
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let event = json!({"object": "fine_tuning.job.event", "id": "ftevent-019ab0c3e5f07d0aa1b2c3d4e5f6071800",
        "created_at": 1_795_305_600, "level": "info", "message": "The job was created.", "type": "message"});
    Operation::new("listFineTuningEvents", Tag::FineTuning, "List the events of a fine-tuning job")
        .about("Newest first.")
        .path("id", job_id(), "The job.")
        .query("after", ObjectBuilder::new().schema_type(Type::String), "Begin after this event.")
        .query("limit", number(1, 100, Some(20)), "How many at most.")
        .answers::<Page>(
            200,
            "A page of events.",
            json!({"object": "list", "data": [event], "has_more": false}),
        )
        .refuses(&[404])
}
