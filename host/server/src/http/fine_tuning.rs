//! `/v1/fine_tuning/jobs` (OpenAI API, fine-tuning): trainings over files of the caller's.

pub(super) mod cancel;
pub(super) mod create;
pub(super) mod events;
pub(super) mod get;
pub(super) mod list;
pub(super) mod view;

use atelier_domain::id::JobId;
use atelier_domain::job::Job;
use atelier_service::ServiceError;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use super::query::path;
use super::{ApiError, Call, prefix};

const WHAT: &str = "such fine-tuning job";

fn read(id: &str) -> Result<JobId, ApiError> {
    prefix::read(prefix::FINE_TUNING_JOB, id, WHAT)
}

/// The caller's training that the path names; a generation is none.
async fn named(call: &mut Call) -> Result<Job, ApiError> {
    let id: String = path(call, "id").await?;
    match call.app.jobs.get(call.caller()?, read(&id)?).await {
        Ok(job) if job.request.training.is_some() => Ok(job),
        Ok(_) | Err(ServiceError::NotFound { .. }) => Err(ServiceError::NotFound { what: WHAT }.into()),
        Err(other) => Err(other.into()),
    }
}

/// The schema of a training's id.
fn job_id() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^ftjob-[0-9a-f]{32}$")).into()
}
