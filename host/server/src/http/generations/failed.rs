//! `GET /api/v1/admin/generations?error=CODE&before=ID&limit=N`.

use atelier_domain::id::JobId;
use atelier_domain::job::Job;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::list::{PAGE_MAX, PAGE_USUAL};
use super::view::{JobView, sample};
use crate::http::openapi::{Operation, Tag, id, number, text};
use crate::http::query::{page_size, parsed, query};
use crate::http::{ApiError, Call, Reply, answer};

/// What an operator looks for: jobs that may have been paid for without a result.
const CODE_USUAL: &str = "outcome_unknown";
const CODE_BYTES_MAX: usize = 64;

#[derive(Serialize, ToSchema)]
#[schema(as = FailedGeneration)]
struct FailedView<'a> {
    /// The user whose job it is.
    #[schema(value_type = String, format = Uuid)]
    owner: String,
    #[serde(flatten)]
    job: JobView<'a>,
}

impl<'a> From<&'a Job> for FailedView<'a> {
    fn from(job: &'a Job) -> Self {
        Self { owner: job.owner.to_string(), job: JobView::from(job) }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = FailedGenerationPage)]
struct Page<'a> {
    data: Vec<FailedView<'a>>,
    /// What to send as `before` for the next page; `null` on the last.
    #[schema(required)]
    next: Option<String>,
}

/// Failed jobs of all users, newest first.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["error", "before", "limit"])?;
    let code = query.get("error").map_or(CODE_USUAL, String::as_str);
    if code.is_empty() || code.len() > CODE_BYTES_MAX {
        return Err(ApiError::invalid("error", format!("must have 1 to {CODE_BYTES_MAX} bytes")));
    }
    let before = query.get("before").map(|text| parsed::<JobId>("before", text)).transpose()?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let mut jobs = call.app.jobs.failed(code.to_owned(), before, limit + 1).await?;
    let has_more = jobs.len() > limit;
    jobs.truncate(limit);
    let next = has_more.then(|| jobs.last().map(|job| job.id.to_string())).flatten();
    answer::json(&Page { data: jobs.iter().map(FailedView::from).collect(), next })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let mut failed = sample("failed");
    failed["owner"] = "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60717".into();
    failed["error"] = json!({"code": CODE_USUAL, "message": "the server stopped while the request was under way; it is not sent twice"});
    Operation::new("listFailedGenerations", Tag::Generations, "List failed generations of all users")
        .about(
            "Newest first, by the code of their error. `outcome_unknown`: the server stopped after a request that costs may have left and \
             before its answer was recorded, so that the provider may have charged for it. For administrators.",
        )
        .query("error", text(CODE_BYTES_MAX), "The code; `outcome_unknown` if left out.")
        .query("before", id(), "Begin after this job: the `next` of the page before.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .answers::<Page<'_>>(200, "A page of jobs.", json!({"data": [failed], "next": null}))
}
