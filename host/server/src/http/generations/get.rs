//! `GET /api/v1/generations/{id}`.

use super::view::JobView;
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer};

/// One of the caller's jobs.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let job = call.app.jobs.get(call.caller()?, id).await?;
    answer::json(&JobView::from(&job))
}
