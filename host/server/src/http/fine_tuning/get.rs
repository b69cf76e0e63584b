//! `GET /v1/fine_tuning/jobs/{id}`.

use super::view::{TrainingView, sample, view};
use super::{job_id, named};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer};

/// One of the caller's trainings.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let job = named(&mut call).await?;
    answer::json(&view(&job)?)
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getFineTuningJob", Tag::FineTuning, "Get a fine-tuning job")
        .path("id", job_id(), "The job.")
        .answers::<TrainingView<'_>>(200, "The job as it is now.", sample("running"))
        .refuses(&[404])
}
