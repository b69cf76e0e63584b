//! `POST /api/v1/generations/{id}/cancel`.

use http::StatusCode;

use super::view::JobView;
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer};

/// Asks for a job to be stopped; a final one stays as it is.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let job = call.app.jobs.cancel(call.caller()?, id).await?;
    let status = if job.state.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    answer::json_with(status, &JobView::from(&job))
}
