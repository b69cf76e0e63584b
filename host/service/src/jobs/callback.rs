//! Jobs that their providers call back about: found by their id there, and woken before their time.

use atelier_domain::generation::media::{CallbackEvent, Ticket, Wake};
use atelier_domain::id::JobId;
use atelier_domain::job::Job;
use atelier_domain::provider::Provider;
use atelier_domain::store::StoreError;
use atelier_domain::time::Timestamp;

use super::schedule::Turn;
use super::{Inner, Jobs, lock};
use crate::ServiceError;
use crate::callbacks::Target;

/// What a callback did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// A job goes on.
    Now,
    /// None of its jobs is open.
    Nobody,
    /// It was here before.
    Before,
}

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

    /// Lets jobs take their next step now, each with what its provider said. `take` makes those that are open due, and gives them, or `None`
    /// if that was done before. Gives whether any of them was open.
    pub(crate) async fn wake(
        &self,
        said: Vec<(JobId, Option<CallbackEvent>)>,
        take: impl FnOnce(&[JobId], Timestamp) -> Result<Option<Vec<Job>>, StoreError> + Send + 'static,
    ) -> Result<Woken, ServiceError> {
        let ids: Vec<JobId> = said.iter().map(|(id, _)| *id).collect();
        // Kept before the rows are changed: a step under way looks here when it has changed its row.
        {
            let mut waiting = lock(&self.inner.called_back);
            for (id, event) in said {
                let kept = waiting.entry(id).or_default();
                *kept = event.or(kept.take());
            }
        }
        let taken = self.take(ids.clone(), take).await;
        let is_open = |id: &JobId| lock(&self.inner.schedule).has(*id);
        let open: Vec<JobId> = match &taken {
            Ok(_) => ids.iter().copied().filter(is_open).collect(),
            Err(_) => Vec::new(),
        };
        {
            let mut waiting = lock(&self.inner.called_back);
            ids.iter().filter(|id| !open.contains(id)).for_each(|id| drop(waiting.remove(id)));
        }
        let is_first = taken?;
        open.iter().for_each(|id| self.inner.look_again(*id));
        Ok(match (is_first, open.is_empty()) {
            (false, _) => Woken::Before,
            (true, false) => Woken::Now,
            (true, true) => Woken::Nobody,
        })
    }

    /// Whether it was the first time.
    async fn take(
        &self,
        ids: Vec<JobId>,
        take: impl FnOnce(&[JobId], Timestamp) -> Result<Option<Vec<Job>>, StoreError> + Send + 'static,
    ) -> Result<bool, ServiceError> {
        self.inner.load().await?;
        let now = self.inner.ports.clock.now();
        let Some(jobs) = self.inner.ports.pool.run(move || take(&ids, now)).await? else { return Ok(false) };
        let mut schedule = lock(&self.inner.schedule);
        jobs.iter().for_each(|job| schedule.note(job));
        Ok(true)
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
