//! `GET /v1/fine_tuning/jobs?after=ID&limit=N`.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{TrainingView, sample, view};
use super::{job_id, read};
use crate::http::openapi::{Operation, Tag, number};
use crate::http::query::{page_size, query};
use crate::http::{ApiError, Call, Reply, answer};

/// As in OpenAI's API.
pub(super) const PAGE_USUAL: usize = 20;
pub(super) const PAGE_MAX: usize = 100;

#[derive(Serialize, ToSchema)]
#[schema(as = FineTuningJobList)]
struct Page<'a> {
    object: &'static str,
    data: Vec<TrainingView<'a>>,
    has_more: bool,
}

/// The caller's trainings, newest first.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["after", "limit"])?;
    let after = query.get("after").map(|text| read(text)).transpose()?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let mut jobs = call.app.jobs.trainings(call.caller()?, after, limit + 1).await?;
    let has_more = jobs.len() > limit;
    jobs.truncate(limit);
    let data = jobs.iter().map(view).collect::<Result<_, _>>()?;
    answer::json(&Page { object: "list", data, has_more })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let page = json!({"object": "list", "data": [sample("succeeded")], "has_more": false});
    Operation::new("listFineTuningJobs", Tag::FineTuning, "List your fine-tuning jobs")
        .about("Newest first.")
        .query("after", job_id(), "Begin after this job: the last one of the page before.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .answers::<Page<'_>>(200, "A page of jobs.", page)
        .refuses(&[404])
}
