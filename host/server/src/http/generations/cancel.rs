//! `POST /api/v1/generations/{id}/cancel`.

use http::StatusCode;

use super::view::{JobView, sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer};

/// Asks for a job to be stopped; a final one stays as it is.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let job = call.app.jobs.cancel(call.caller()?, id).await?;
    let status = if job.state.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    answer::json_with(status, &JobView::from(&job))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("cancelGeneration", Tag::Generations, "Cancel a generation")
        .about("Asks for a job to be stopped, at the provider too. A job that has ended stays as it is.")
        .path("id", id(), "The job.")
        .answers::<JobView<'_>>(200, "The job had ended, or ended at once.", sample("canceled"))
        .answers::<JobView<'_>>(202, "The job is being stopped.", sample("processing"))
        .refuses(&[404, 409])
}
