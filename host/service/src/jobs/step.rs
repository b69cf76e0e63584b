//! One step of a job: submit, go on, cancel, or end.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::failure::ProviderError;
use atelier_domain::generation::media::{Cancellation, Ticket, Wake};
use atelier_domain::id::CallId;
use atelier_domain::job::{Job, JobError, JobState};
use atelier_domain::provider::{CallContext, ChargeJournal, PreviewSink, Provider};
use atelier_domain::trace::Span;

use super::charging::{Journal, answer_was_lost};
use super::schedule::Turn;
use super::training::kind_of;
use super::{Inner, Onlooker, backoff, lock};
use crate::ServiceError;
use crate::caller::scope_of;
use crate::generation::traced;

/// How soon a step is tried again that storage did not take.
const STORE_PAUSE: Duration = Duration::from_secs(1);
const SUBMISSIONS_MAX: u32 = 3;
/// For telling a provider that a job is over.
const CANCEL_BUDGET: Duration = Duration::from_secs(20);
/// How soon to look again for an instance that is not configured at the moment.
const MISSING_PAUSE: Duration = Duration::from_secs(30);

impl Inner {
    /// Takes a job's next step. What storage refuses is tried again with the job's next waking.
    pub(super) async fn step(self: Arc<Self>, turn: Turn) {
        if let Err(error) = self.clone().try_step(turn).await {
            tracing::error!(job = %turn.id, %error, "a step of a job could not be recorded");
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }

    async fn try_step(self: Arc<Self>, turn: Turn) -> Result<(), ServiceError> {
        let id = turn.id;
        let store = self.ports.store.clone();
        let Some(job) = self.ports.pool.run(move || store.job(id)).await? else { return Ok(()) };
        if job.state.is_final() {
            // The schedule may have been told of an older row after this one.
            lock(&self.schedule).note(&job);
            return Ok(());
        }
        if job.charging {
            // Only a process that died between sending and recording leaves this behind.
            let message =
                "the server stopped while the request was under way; it is not sent twice".to_owned();
            return self.fail(&job, "outcome_unknown", message).await;
        }
        let is_late = self.ports.clock.now() >= job.deadline;
        let provider = match self.provider_of(&job).await {
            Ok(provider) => provider,
            Err(ServiceError::OwnKeyUnusable { .. }) if job.cancel_requested || is_late => None,
            Err(error @ ServiceError::OwnKeyUnusable { .. }) => {
                return self.fail(&job, "own_key_unusable", error.to_string()).await;
            }
            Err(error) => return Err(error),
        };
        if job.cancel_requested || is_late {
            return self.stop(&job, provider, is_late && !job.cancel_requested).await;
        }
        let Some(provider) = provider else {
            let may_step_in = job.ticket.is_none() && !job.bill.fallbacks.is_empty();
            return if may_step_in { self.step_in(id).await } else { self.wake_in(id, MISSING_PAUSE).await };
        };
        match job.ticket.clone() {
            None => self.submit(job, provider).await,
            Some(ticket) => {
                let wake = self.reason_for(turn);
                self.resume(job, provider, ticket, wake).await
            }
        }
    }

    fn context(
        &self,
        job: &Job,
        provider: &dyn Provider,
        budget: Duration,
        journal: Option<Arc<Journal>>,
        span: Option<&Span>,
    ) -> CallContext {
        let onlooker = lock(&self.watchers).get(&job.id).cloned();
        CallContext {
            call: CallId::new(),
            request_id: format!("job-{}", job.id).into(),
            attempt: job.attempt.max(1),
            // The job's own: the same for all attempts, also of another process.
            idempotency_key: job.id.simple(),
            budget,
            scope: scope_of(job.owner),
            callback_url: self.callback_url(job, provider),
            depth: 0,
            journal: journal.map(|journal| journal as Arc<dyn ChargeJournal>),
            previews: onlooker.map(|sender| Arc::new(Onlooker(sender)) as Arc<dyn PreviewSink>),
            // Set by the provider's wrapper where a template hides something.
            hidden: None,
            trace: traced::within(span),
        }
    }

    fn left(&self, job: &Job) -> Duration {
        Duration::from_millis(job.deadline.0.saturating_sub(self.ports.clock.now().0))
    }

    async fn submit(self: Arc<Self>, job: Job, provider: Arc<dyn Provider>) -> Result<(), ServiceError> {
        let now = self.ports.clock.now();
        let job = self
            .change(job.id, move |job| {
                job.state = JobState::Processing;
                job.started.get_or_insert(now);
                job.attempt += 1;
                true
            })
            .await?;
        let request = match self.request(&job).await {
            Ok(request) => request,
            // It never comes back by itself.
            Err(error @ ServiceError::ContentMissing { .. }) => {
                tracing::error!(job = %job.id, %error, "a job cannot be submitted");
                let message = "an input is gone from this server's storage".to_owned();
                return self.fail(&job, "content_missing", message).await;
            }
            Err(other) => return Err(other),
        };
        let journal = Journal::of(&self, &job);
        let budget = self.left(&job);
        let span = traced::step(self.ports.tracer.as_ref(), &job, "submit");
        let context = self.context(&job, &*provider, budget, Some(journal.clone()), span.as_ref());
        let outcome = tokio::time::timeout(budget, provider.submit(context, request)).await;
        traced::stepped(span, &outcome);
        match outcome {
            Ok(Ok(step)) => self.record(&job, step).await,
            Ok(Err(error)) if !job.bill.fallbacks.is_empty() && journal.lets_another_try(&error) => {
                tracing::info!(job = %job.id, model = job.request.model, error = error.kind(), "another model steps in");
                self.step_in(job.id).await
            }
            Ok(Err(error))
                if journal.lets_try_again(&error) && self.may_submit_again(&job, &journal, &error) =>
            {
                self.try_again(job.id, backoff::pause(job.id, job.attempt, &error)).await
            }
            Ok(Err(error)) => self.fail_at(&job, &journal, &error).await,
            Err(_) => self.fail(&job, "deadline_exceeded", late()).await,
        }
    }

    async fn resume(
        self: Arc<Self>,
        job: Job,
        provider: Arc<dyn Provider>,
        ticket: Ticket,
        wake: Wake,
    ) -> Result<(), ServiceError> {
        let budget = self.left(&job);
        let journal = Journal::of(&self, &job);
        let span = traced::step(self.ports.tracer.as_ref(), &job, "resume");
        let context = self.context(&job, &*provider, budget, Some(journal.clone()), span.as_ref());
        let call = provider.resume(context, kind_of(&job), ticket.state, wake);
        let outcome = tokio::time::timeout(budget, call).await;
        traced::stepped(span, &outcome);
        match outcome {
            Ok(Ok(step)) => self.record(&job, step).await,
            // Asking how a job stands may be repeated until its deadline.
            Ok(Err(error)) if journal.lets_try_again(&error) => {
                let failures = lock(&self.schedule).failed(job.id);
                self.try_again(job.id, backoff::pause(job.id, failures, &error)).await
            }
            Ok(Err(error)) => self.fail_at(&job, &journal, &error).await,
            // The next waking finds it late, and tells the provider.
            Err(_) => self.wake_in(job.id, Duration::ZERO).await,
        }
    }

    /// Whether a submission that failed may be made again. As long as another may have been taken, which its provider then knows by its key, it is
    /// made again until the job's deadline: giving it up would lose what was paid for.
    fn may_submit_again(&self, job: &Job, journal: &Journal, error: &ProviderError) -> bool {
        let mut schedule = lock(&self.schedule);
        let is_settled = !(journal.has_sent() && answer_was_lost(error));
        let settled = if is_settled { schedule.failed(job.id) } else { schedule.failures(job.id) };
        // Those before may have been cut off with their process.
        settled < SUBMISSIONS_MAX || settled < job.attempt
    }

    /// Ends a job by what a step failed with. Where a request that costs has left and its answer did not come whole, nobody knows whether it
    /// was taken.
    async fn fail_at(&self, job: &Job, journal: &Journal, error: &ProviderError) -> Result<(), ServiceError> {
        if journal.is_outstanding() && answer_was_lost(error) {
            let message =
                format!("the answer to a request that costs was lost, and it is not sent twice: {error}");
            return self.fail(job, "outcome_unknown", message).await;
        }
        self.fail_with(job, error).await
    }

    async fn stop(
        &self,
        job: &Job,
        provider: Option<Arc<dyn Provider>>,
        is_late: bool,
    ) -> Result<(), ServiceError> {
        let mut usage = Vec::new();
        if let (Some(ticket), Some(provider)) = (&job.ticket, provider) {
            let span = traced::step(self.ports.tracer.as_ref(), job, "cancel");
            let context = self.context(job, &*provider, CANCEL_BUDGET, None, span.as_ref());
            let call = provider.cancel(context, kind_of(job), ticket.state.clone());
            let outcome = tokio::time::timeout(CANCEL_BUDGET, call).await;
            traced::stepped(span, &outcome);
            match outcome {
                Ok(Ok(Cancellation::Finished(outcome))) => return self.succeed(job, outcome).await,
                Ok(Ok(Cancellation::Canceled(lines))) => usage = lines,
                Ok(Ok(Cancellation::Unsupported)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(job = %job.id, %error, "a provider could not be told to stop a job")
                }
                Err(_) => tracing::warn!(job = %job.id, "a provider did not answer when told to stop a job"),
            }
        }
        if is_late {
            let error = JobError { code: "deadline_exceeded".to_owned(), message: late() };
            return self.finish(job, JobState::Failed, Vec::new(), usage, Some(error)).await;
        }
        self.finish(job, JobState::Canceled, Vec::new(), usage, None).await
    }
}

fn late() -> String {
    "it took longer than its task may".to_owned()
}
