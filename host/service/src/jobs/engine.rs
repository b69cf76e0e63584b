//! Waking jobs when they are due.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::id::JobId;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{Inner, Jobs, backoff, lock};
use crate::ServiceError;

/// The longest rest: clocks are set now and then.
const REST_MAX: Duration = Duration::from_secs(30);
/// How long to wait after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Open jobs read at the start: more than a queue can have.
const OPEN_MAX: usize = 65_536;

impl Jobs {
    /// Runs jobs until told to stop; steps under way then go on in the background, and are found by the next start.
    pub async fn run(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            let rest = match self.inner.load().await {
                Ok(()) => self.inner.wake_due(),
                Err(error) => {
                    tracing::error!(%error, "open jobs could not be read");
                    STORE_PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.inner.due.notified() => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Reads the jobs that the process before left open, and by which ids they are known to their providers; once. Whoever adds a job
    /// or looks for one does it if need be.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn read_open_jobs(&self) -> Result<(), ServiceError> {
        self.inner.load().await
    }
}

impl Inner {
    pub(super) async fn load(self: &Arc<Self>) -> Result<(), ServiceError> {
        let reading = || {
            let inner = self.clone();
            self.ports.pool.run(move || {
                for (_, id) in inner.ports.store.open_jobs(OPEN_MAX)? {
                    let Some(mut job) = inner.ports.store.job(id)? else { continue };
                    if let Some(ticket) = &job.ticket {
                        inner.note_provider_id(&job, ticket);
                        // Its provider may have called while nobody listened.
                        if ticket.accepts_webhook {
                            let soon = inner.ports.clock.now().plus(backoff::spread(id));
                            job.wake_at = job.wake_at.min(soon);
                        }
                    }
                    lock(&inner.schedule).note(&job);
                }
                Ok::<_, ServiceError>(())
            })
        };
        self.loaded.get_or_try_init(reading).await.map(drop)
    }

    /// Begins a step of every job whose turn it is, as long as there are workers; gives the time to the next one.
    fn wake_due(self: &Arc<Self>) -> Duration {
        let now = self.ports.clock.now();
        // A worker that ends wakes us again.
        while let Ok(worker) = self.workers.clone().try_acquire_owned() {
            let Some(turn) = lock(&self.schedule).next(now) else {
                let next = lock(&self.schedule).next_at();
                let rest = next.map(|next| Duration::from_millis(next.0.saturating_sub(now.0)));
                return rest.map_or(REST_MAX, |rest| rest.min(REST_MAX));
            };
            let step = Step { inner: self.clone(), id: turn.id, worker: Some(worker) };
            tokio::spawn(async move {
                step.inner.clone().step(turn).await;
                drop(step);
            });
        }
        REST_MAX
    }
}

/// A job taking a step. However the step ends, panics included, the job is free again.
struct Step {
    inner: Arc<Inner>,
    id: JobId,
    worker: Option<OwnedSemaphorePermit>,
}

impl Drop for Step {
    fn drop(&mut self) {
        lock(&self.inner.schedule).finished(self.id, self.inner.ports.clock.now());
        // Before the engine looks: it would find no worker, and rest.
        self.worker = None;
        self.inner.due.notify_one();
    }
}
