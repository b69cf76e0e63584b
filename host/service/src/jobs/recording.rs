//! What came of a step, as it is recorded: it may have been paid for, and nobody but this process knows it.

use std::time::Duration;

use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::generation::media::{Outcome, Step, Ticket};
use atelier_domain::generation::usage::{UsageLine, bounded};
use atelier_domain::id::JobId;
use atelier_domain::job::{Job, JobError, JobState, StoredOutput};

use super::charging::passes;
use super::{Inner, backoff, lock};
use crate::{ServiceError, patience};

/// Bounds on how soon a provider wants to be asked again.
const POLL_MS_MIN: u64 = 100;
const POLL_MS_MAX: u64 = 60_000;
/// How long what came of a step is kept for a storage that does not take it. Its worker waits with it.
pub(super) const KEPT_MAX: Duration = Duration::from_secs(3600);

impl Inner {
    pub(super) async fn record(&self, job: &Job, step: Step) -> Result<(), ServiceError> {
        match step {
            Step::Done(outcome) => self.succeed(job, outcome).await,
            Step::Pending(ticket) if ticket.state.len() > Ticket::STATE_BYTES_MAX => {
                self.fail(job, "bad-response", "the provider's state is too large".to_owned()).await
            }
            Step::Pending(ticket) => {
                let pause = Duration::from_millis(ticket.poll_after_ms.clamp(POLL_MS_MIN, POLL_MS_MAX));
                let wake_at = self.ports.clock.now().plus(pause).min(job.deadline);
                lock(&self.schedule).succeeded(job.id);
                self.note_provider_id(job, &ticket);
                let recorded = self.change_surely(job.id, move |job| {
                    job.charging = false;
                    // A wish to cancel that came meanwhile is due at once.
                    if !job.cancel_requested {
                        job.wake_at = wake_at;
                    }
                    job.progress = ticket.progress.map(|progress| progress.clamp(0.0, 1.0)).or(job.progress);
                    job.ticket = Some(ticket.clone());
                    true
                });
                recorded.await.map(drop)
            }
        }
    }

    pub(super) async fn succeed(&self, job: &Job, outcome: Outcome) -> Result<(), ServiceError> {
        let usage = outcome.usage;
        match self.keep_outputs(job, outcome.outputs).await {
            Ok(outputs) => self.finish(job, JobState::Succeeded, outputs, usage, None).await,
            // A provider that knows the job by its ticket is asked again until the deadline, and gives a link that is fresh.
            Err(ServiceError::Provider(error)) if job.ticket.is_some() && passes(&error) => {
                let failures = lock(&self.schedule).failed(job.id);
                tracing::warn!(job = %job.id, failures, %error, "a result could not be fetched; its provider is asked again");
                self.try_again(job.id, backoff::pause(job.id, failures, &error)).await
            }
            Err(ServiceError::Provider(error)) => {
                let error = JobError {
                    code: code_of(&error),
                    message: format!("a result could not be fetched: {error}"),
                };
                self.finish(job, JobState::Failed, Vec::new(), usage, Some(error)).await
            }
            Err(other) => Err(other),
        }
    }

    pub(super) async fn fail_with(&self, job: &Job, error: &ProviderError) -> Result<(), ServiceError> {
        let message = match error {
            ProviderError::Reported { failure, .. } => failure.message.clone(),
            other => other.to_string(),
        };
        self.fail(job, &code_of(error), message).await
    }

    pub(super) async fn fail(&self, job: &Job, code: &str, message: String) -> Result<(), ServiceError> {
        let error = JobError { code: code.to_owned(), message };
        self.finish(job, JobState::Failed, Vec::new(), Vec::new(), Some(error)).await
    }

    pub(super) async fn finish(
        &self,
        job: &Job,
        state: JobState,
        outputs: Vec<StoredOutput>,
        usage: Vec<UsageLine>,
        error: Option<JobError>,
    ) -> Result<(), ServiceError> {
        let now = self.ports.clock.now();
        let error_code = error.as_ref().map(|error| error.code.clone());
        let usage = bounded(&usage);
        let ended = self.change_surely(job.id, move |job| {
            if job.state.is_final() {
                return false;
            }
            job.state = state;
            job.finished = Some(now);
            job.charging = false;
            job.ticket = None;
            job.outputs.clone_from(&outputs);
            job.usage.clone_from(&usage);
            if state == JobState::Succeeded && usage.is_empty() {
                job.usage.clone_from(&job.bill.estimate);
                job.bill.is_estimated = true;
            }
            job.error.clone_from(&error);
            if state == JobState::Succeeded {
                job.progress = Some(1.0);
            }
            true
        });
        let ended = ended.await?;
        self.forget_callbacks(job);
        let code = error_code.as_deref();
        let cost = ended.bill.cost.map(|cost| cost.charged);
        self.ports.meter.job_ended(job.request.instance(), state.as_str(), code, cost);
        Ok(())
    }

    /// Has a failed step tried again: what it sent was not taken.
    pub(super) async fn try_again(&self, id: JobId, pause: Duration) -> Result<(), ServiceError> {
        self.change_surely(id, |job| std::mem::take(&mut job.charging)).await?;
        self.wake_in(id, pause).await
    }

    pub(super) async fn wake_in(&self, id: JobId, pause: Duration) -> Result<(), ServiceError> {
        let wake_at = self.ports.clock.now().plus(pause);
        let changed = self.change(id, move |job| {
            if !job.cancel_requested {
                job.wake_at = wake_at.min(job.deadline);
            }
            true
        });
        changed.await.map(|_| ())
    }

    /// As [`Inner::change`], tried again while storage is busy or failing.
    async fn change_surely(
        &self,
        id: JobId,
        change: impl Fn(&mut Job) -> bool + Clone + Send + Sync + 'static,
    ) -> Result<Job, ServiceError> {
        patience::patiently(KEPT_MAX, || self.change(id, change.clone())).await
    }
}

fn code_of(error: &ProviderError) -> String {
    match error {
        ProviderError::Reported { failure, .. } => failure.code.as_str().to_owned(),
        ProviderError::PromptRefused { .. } => FailureCode::ContentRefused.as_str().to_owned(),
        ProviderError::PromptUnjudged { .. } => FailureCode::Unavailable.as_str().to_owned(),
        other => other.kind().to_owned(),
    }
}
