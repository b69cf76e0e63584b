//! `/v1/images/…` (OpenAI API, images): a media job, awaited.

pub(super) mod edits;
pub(super) mod generations;
mod request;
mod response;
mod schema;
mod stream;
pub(super) mod variations;

use std::time::{Duration, Instant};

use atelier_domain::job::{Job, JobState};
use atelier_domain::model::Task;
use atelier_service::ServiceError;
use atelier_service::jobs::time_for;

use super::{ApiError, Call, Reply};
use request::Asked;

/// How long after its deadline a job is waited for, whose end then says more.
const GRACE: Duration = Duration::from_secs(5);
/// What is left of a request's time for the answer that says where the result will be.
const RESERVE: Duration = Duration::from_secs(2);

/// Runs the job and answers with its images, or with events on the way to them. A caller that leaves does not stop it: its
/// results are kept.
async fn run(call: Call, task: Task, asked: Asked) -> Result<Reply, ApiError> {
    let (app, request_id, deadline) = (&call.app, &call.request_id, call.deadline);
    let caller = call.caller()?;
    let asked = asked.complete()?;
    let identifier = asked.request.end_user.clone();
    if asked.stream {
        let (job, previews) = app.jobs.admit_watched(caller, task, asked.request).await?;
        let script = stream::Script::new(task, &job, identifier);
        return Ok(stream::reply(app, caller, request_id, job.id, previews, script));
    }
    let job = app.jobs.admit(caller, task, asked.request).await?;
    let left = deadline.saturating_duration_since(Instant::now());
    let patience = (time_for(task) + GRACE).min(left.saturating_sub(RESERVE.min(left / 2)));
    let job = app.jobs.wait(caller, job.id, patience).await?;
    if !job.state.is_final() {
        return Err(ApiError::JobGoesOn { what: "making the images", job: job.id, after: patience });
    }
    succeeded(&job, task)?;
    response::write(app, &job, asked.form, identifier.as_deref()).await
}

/// Why a job that was awaited has no images, if it has none.
fn succeeded(job: &Job, task: Task) -> Result<(), ServiceError> {
    match (job.state, &job.error) {
        (JobState::Succeeded, _) => Ok(()),
        (JobState::Failed, Some(error)) => {
            Err(ServiceError::JobFailed { code: error.code.clone(), message: error.message.clone() })
        }
        (JobState::Canceled, _) => Err(ServiceError::JobFailed {
            code: "canceled".to_owned(),
            message: "it was canceled".to_owned(),
        }),
        (JobState::Queued | JobState::Processing | JobState::Failed, _) => {
            Err(ServiceError::TimedOut { what: "making the images", after: time_for(task) })
        }
    }
}
