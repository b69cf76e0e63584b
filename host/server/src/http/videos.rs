//! `/v1/videos` (OpenAI API, videos): media jobs whose task is a video, with OpenAI's words for them.

pub(super) mod content;
pub(super) mod create;
pub(super) mod delete;
mod form;
pub(super) mod get;
pub(super) mod list;
pub(super) mod remix;
mod request;
mod view;

use atelier_domain::id::JobId;
use atelier_domain::job::Job;
use atelier_service::ServiceError;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use super::query::path;
use super::{ApiError, Call, prefix};

const WHAT: &str = "such video";

fn read(id: &str) -> Result<JobId, ApiError> {
    prefix::read(prefix::VIDEO, id, WHAT)
}

/// The caller's video that the path names; another generation is none.
async fn named(call: &mut Call) -> Result<Job, ApiError> {
    let id: String = path(call, "id").await?;
    match call.app.jobs.get(call.caller()?, read(&id)?).await {
        Ok(job) if job.request.is_video() => Ok(job),
        Ok(_) | Err(ServiceError::NotFound { .. }) => Err(ServiceError::NotFound { what: WHAT }.into()),
        Err(other) => Err(other.into()),
    }
}

/// The schema of a video's id.
fn video_id() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^video_[0-9a-f]{32}$")).into()
}
