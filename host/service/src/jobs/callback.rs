//! Jobs that their providers call back about: found by their id there, and woken before their time.

use atelier_domain::generation::media::{CallbackEvent, Ticket, Wake};
use atelier_domain::id::JobId;
use atelier_domain::job::Job;
use atelier_domain::provider::Provider;

use super::schedule::Turn;
use super::{Inner, Jobs, lock};
use crate::ServiceError;
use crate::callbacks::Target;

impl Jobs {
    /// The job that an address was given to.
    pub(crate) async fn called_back(&self, id: JobId) -> Result<Option<Job>, ServiceError> {
        let store = self.inner.ports.store.clone();
        self.inner.ports.pool.run(move || store.job(id)).await
    }

    /// The open job that an instance's provider knows by this id.
    pub(crate) fn at_provider(&self, instance: &str, provider_id: &str) -> Option<JobId> {
        let key = (instance.to_owned(), provider_id.to_owned());
        lock(&self.inner.at_providers).get(&key).copied()
    }

    /// Lets a job take its next step now, with what its provider said; `false` if it has ended.
    pub(crate) async fn wake(&self, id: JobId, event: Option<CallbackEvent>) -> Result<bool, ServiceError> {
        // Kept before the row is changed: a step under way looks here when it has changed the row.
        {
            let mut waiting = lock(&self.inner.called_back);
            let kept = waiting.entry(id).or_default();
            *kept = event.or(kept.take());
        }
        self.inner.load().await?;
        let now = self.inner.ports.clock.now();
        let changed = self
            .inner
            .change(id, move |job| {
                let open = !job.state.is_final();
                if open {
                    job.wake_at = job.wake_at.min(now);
                }
                open
            })
            .await;
        let is_open = changed.as_ref().is_ok_and(|job| !job.state.is_final());
        if !is_open {
            lock(&self.inner.called_back).remove(&id);
        }
        changed?;
        self.inner.look_again(id);
        Ok(is_open)
    }
}

impl Inner {
    /// Why a job takes a step after its first.
    pub(super) fn reason_for(&self, turn: Turn) -> Wake {
        match lock(&self.called_back).remove(&turn.id) {
            Some(Some(event)) => Wake::Webhook(event),
            Some(None) | None if turn.is_first_here => Wake::Resumed,
            Some(None) | None => Wake::Timer,
        }
    }

    pub(super) fn note_provider_id(&self, job: &Job, ticket: &Ticket) {
        if let Some(provider_id) = &ticket.provider_id {
            let key = (job.request.instance().to_owned(), provider_id.clone());
            lock(&self.at_providers).insert(key, job.id);
        }
    }

    /// A job has ended: nobody is called back about it any more.
    pub(super) fn forget_callbacks(&self, job: &Job) {
        lock(&self.called_back).remove(&job.id);
        if let Some(provider_id) = job.ticket.as_ref().and_then(|ticket| ticket.provider_id.clone()) {
            lock(&self.at_providers).remove(&(job.request.instance().to_owned(), provider_id));
        }
    }

    /// Where a job's provider may call back, if what comes there can be checked.
    pub(super) fn callback_url(&self, job: &Job, provider: &dyn Provider) -> Option<String> {
        let addresses = self.ports.callbacks.as_ref().filter(|_| provider.takes_callbacks())?;
        addresses.url(&Target::Job(job.id))
    }
}
