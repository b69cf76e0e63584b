//! `POST /v1/fine_tuning/jobs/{id}/cancel`.

use std::time::Duration;

use super::view::{TrainingView, sample, view};
use super::{job_id, named};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer};

/// How long the answer waits for the provider, so that most callers see the job canceled.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for a training to be stopped; a final one stays as it is.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let job = named(&mut call).await?;
    call.app.jobs.cancel(call.caller()?, job.id).await?;
    let job = call.app.jobs.wait(call.caller()?, job.id, PATIENCE).await?;
    answer::json(&view(&job)?)
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("cancelFineTuningJob", Tag::FineTuning, "Cancel a fine-tuning job")
        .about("Asks for a job to be stopped, at the provider too, and waits a few seconds for it. A job that has ended stays as it is.")
        .path("id", job_id(), "The job.")
        .answers::<TrainingView<'_>>(200, "The job as it is now.", sample("cancelled"))
        .refuses(&[404])
}
