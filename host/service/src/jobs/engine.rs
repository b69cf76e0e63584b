//! Waking jobs when they are due.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::id::JobId;
use tokio::sync::watch;

use super::{Inner, Jobs, lock};
use crate::ServiceError;

/// The longest rest between looks at the store.
const REST_MAX: Duration = Duration::from_secs(30);
/// How long to wait after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

impl Jobs {
    /// Runs jobs until told to stop; steps under way then go on in the background, and are found by the next start.
    pub async fn run(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            let rest = match self.wake_due().await {
                Ok(rest) => rest,
                Err(error) => {
                    tracing::error!(%error, "due jobs could not be read");
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

    /// Begins a step of every due job for which there is a worker; gives the time to the next one.
    async fn wake_due(&self) -> Result<Duration, ServiceError> {
        let inner = &self.inner;
        // Jobs that run are due as well: they must not hide those behind them.
        let page = inner.limits.workers_max + lock(&inner.running).len() + 1;
        let store = inner.ports.store.clone();
        let open = inner.ports.pool.run(move || store.open_jobs(page)).await?;
        let now = inner.ports.clock.now();
        for (wake_at, id) in open {
            if lock(&inner.running).contains(&id) {
                continue;
            }
            if wake_at > now {
                return Ok(Duration::from_millis(wake_at.0 - now.0).min(REST_MAX));
            }
            // A worker that ends wakes us again.
            let Ok(worker) = inner.workers.clone().try_acquire_owned() else { return Ok(REST_MAX) };
            lock(&inner.running).insert(id);
            let step = Step { inner: inner.clone(), id };
            tokio::spawn(async move {
                let _worker = worker;
                step.inner.clone().step(step.id).await;
                drop(step);
            });
        }
        Ok(REST_MAX)
    }
}

/// A job taking a step. However the step ends, panics included, the job is free again.
struct Step {
    inner: Arc<Inner>,
    id: JobId,
}

impl Drop for Step {
    fn drop(&mut self) {
        lock(&self.inner.running).remove(&self.id);
        self.inner.due.notify_one();
    }
}
