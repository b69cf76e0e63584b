//! `GET /api/v1/generations?before=ID&limit=N`.

use atelier_domain::id::JobId;
use serde::Serialize;

use super::view::JobView;
use crate::http::query::{parsed, query};
use crate::http::{ApiError, Call, Reply, answer};

const PAGE_USUAL: usize = 20;
const PAGE_MAX: usize = 100;

#[derive(Serialize)]
struct Page<'a> {
    data: Vec<JobView<'a>>,
    /// What to send as `before` for the next page; absent on the last.
    next: Option<String>,
}

/// The caller's jobs, newest first.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["before", "limit"])?;
    let before = query.get("before").map(|text| parsed::<JobId>("before", text)).transpose()?;
    let limit =
        query.get("limit").map(|text| parsed::<usize>("limit", text)).transpose()?.unwrap_or(PAGE_USUAL);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(ApiError::invalid("limit", format!("must be from 1 to {PAGE_MAX}")));
    }
    let mut jobs = call.app.jobs.list(call.caller()?, before, limit + 1).await?;
    let has_more = jobs.len() > limit;
    jobs.truncate(limit);
    let next = has_more.then(|| jobs.last().map(|job| job.id.to_string())).flatten();
    answer::json(&Page { data: jobs.iter().map(JobView::from).collect(), next })
}
