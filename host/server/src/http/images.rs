//! `/v1/images/…` (OpenAI API, images): a media job, awaited.

pub(super) mod edits;
pub(super) mod generations;
mod request;
mod response;
pub(super) mod variations;

use atelier_domain::generation::media::MediaRequest;
use atelier_domain::job::JobState;
use atelier_domain::model::Task;
use atelier_service::ServiceError;
use atelier_service::caller::Caller;
use atelier_service::jobs::time_for;

use super::{ApiError, Reply};
use crate::app::App;
use request::Form;

/// Runs the job and answers with its images. A caller that leaves does not stop it: its results are kept.
async fn run(
    app: &App,
    caller: &Caller,
    task: Task,
    request: MediaRequest,
    form: Form,
) -> Result<Reply, ApiError> {
    let job = app.jobs.admit(caller, task, request).await?;
    let job = app.jobs.wait(caller, job.id, time_for(task)).await?;
    match (job.state, &job.error) {
        (JobState::Succeeded, _) => response::write(app, &job, form).await,
        (JobState::Failed, Some(error)) => {
            let (code, message) = (error.code.clone(), error.message.clone());
            Err(ServiceError::JobFailed { code, message }.into())
        }
        (JobState::Canceled, _) => {
            let message = "it was canceled".to_owned();
            Err(ServiceError::JobFailed { code: "canceled".to_owned(), message }.into())
        }
        (JobState::Queued | JobState::Processing | JobState::Failed, _) => {
            Err(ServiceError::TimedOut { what: "making the images", after: time_for(task) }.into())
        }
    }
}
