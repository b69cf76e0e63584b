//! `GET /api/v1/generations?before=ID&limit=N`.

use atelier_domain::id::JobId;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{JobView, sample};
use crate::http::openapi::{Operation, Tag, id, number};
use crate::http::query::{page_size, parsed, query};
use crate::http::{ApiError, Call, Reply, answer};

pub(super) const PAGE_USUAL: usize = 20;
pub(super) const PAGE_MAX: usize = 100;

#[derive(Serialize, ToSchema)]
#[schema(as = GenerationPage)]
struct Page<'a> {
    data: Vec<JobView<'a>>,
    /// What to send as `before` for the next page; `null` on the last.
    #[schema(required)]
    next: Option<String>,
}

/// The caller's jobs, newest first.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["before", "limit"])?;
    let before = query.get("before").map(|text| parsed::<JobId>("before", text)).transpose()?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let mut jobs = call.app.jobs.list(call.caller()?, before, limit + 1).await?;
    let has_more = jobs.len() > limit;
    jobs.truncate(limit);
    let next = has_more.then(|| jobs.last().map(|job| job.id.to_string())).flatten();
    answer::json(&Page { data: jobs.iter().map(JobView::from).collect(), next })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("listGenerations", Tag::Generations, "List your generations")
        .about("Newest first.")
        .query("before", id(), "Begin after this job: the `next` of the page before.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .answers::<Page<'_>>(200, "A page of jobs.", json!({"data": [sample("succeeded")], "next": null}))
}
