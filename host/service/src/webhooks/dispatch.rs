//! Sending what is due: bounded over all and for each endpoint, so that none keeps the others waiting.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_domain::id::{DeliveryId, EndpointId};
use atelier_domain::store::{DeliveryKey, StoreError};
use atelier_domain::time::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{Inner, Webhooks};
use crate::ServiceError;

/// The longest rest between looks at the store.
const REST_MAX: Duration = Duration::from_secs(30);
/// How long to wait after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Endpoints looked at in one go.
const ENDPOINTS_PER_GO: usize = 1024;
/// Between sweeps of old deliveries, and how many one removes.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEPT_MAX: usize = 2048;

impl Webhooks {
    /// Sends until told to stop; attempts under way then end in the background or are made again by the next start.
    pub async fn run(&self, mut stopped: watch::Receiver<bool>) {
        let mut from = None;
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        loop {
            let rest = match self.inner.clone().send_due(&mut from).await {
                Ok(rest) => rest,
                Err(error) => {
                    tracing::error!(%error, "due webhooks could not be read");
                    STORE_PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.inner.ports.hub.delivery() => {}
                _ = sweep.tick() => self.inner.spawn_sweep(),
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }
}

impl Inner {
    fn running(&self) -> MutexGuard<'_, HashMap<EndpointId, Vec<DeliveryId>>> {
        // The map stays consistent whatever panics beside it, so that a poisoned lock is still good.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an attempt at everything that is due and for which there is a worker; gives the time to the next one. Where workers run
    /// out, the next go begins there.
    async fn send_due(self: Arc<Self>, from: &mut Option<EndpointId>) -> Result<Duration, ServiceError> {
        let (store, now) = (self.ports.deliveries.clone(), self.ports.clock.now());
        // Of each endpoint so many that those being sent hide none that could be.
        let (begin, per_endpoint) = (*from, 2 * self.limits.concurrent_per_endpoint);
        let (page, oldest) = self
            .ports
            .pool
            .run(move || {
                let page = store.due_deliveries(begin, now, ENDPOINTS_PER_GO, per_endpoint)?;
                Ok::<_, StoreError>((page, store.oldest_pending()?))
            })
            .await?;
        self.counts.oldest_is(oldest);
        for key in page.due {
            let Some(started) = self.clone().start(key) else { continue };
            if !started {
                // A worker that ends wakes us again.
                *from = Some(key.endpoint);
                return Ok(REST_MAX);
            }
        }
        let was_partial = from.is_some();
        *from = page.next;
        if page.next.is_some() || was_partial {
            return Ok(Duration::ZERO);
        }
        let until = |at: Timestamp| Duration::from_millis(at.0.saturating_sub(now.0));
        Ok(page.next_at.map_or(REST_MAX, |at| until(at).min(REST_MAX)))
    }

    /// Begins an attempt. `Some(false)`: no worker is free; `None`: it is being sent, or its endpoint has its share of workers.
    fn start(self: Arc<Self>, key: DeliveryKey) -> Option<bool> {
        {
            let running = self.running();
            let of_endpoint = running.get(&key.endpoint).map_or(&[][..], Vec::as_slice);
            if of_endpoint.contains(&key.id) || of_endpoint.len() >= self.limits.concurrent_per_endpoint {
                return None;
            }
        }
        let Ok(worker) = self.workers.clone().try_acquire_owned() else { return Some(false) };
        self.running().entry(key.endpoint).or_default().push(key.id);
        let sending = Sending { inner: self, key, worker: Some(worker) };
        tokio::spawn(async move {
            if let Err(error) = sending.inner.attempt(sending.key).await {
                tracing::error!(delivery = %sending.key.id, %error, "an attempt at a webhook could not be recorded");
                tokio::time::sleep(STORE_PAUSE).await;
            }
            drop(sending);
        });
        Some(true)
    }

    fn spawn_sweep(self: &Arc<Self>) {
        let inner = self.clone();
        tokio::spawn(async move {
            let age = u64::try_from(inner.limits.kept_for.as_millis()).unwrap_or(u64::MAX);
            let before = Timestamp(inner.ports.clock.now().0.saturating_sub(age));
            let store = inner.ports.deliveries.clone();
            if let Err(error) = inner.ports.pool.run(move || store.sweep_deliveries(before, SWEPT_MAX)).await
            {
                tracing::warn!(%error, "old webhook deliveries could not be removed");
            }
        });
    }
}

/// A delivery being sent. However that ends, panics included, it is free again.
struct Sending {
    inner: Arc<Inner>,
    key: DeliveryKey,
    worker: Option<OwnedSemaphorePermit>,
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut running = self.inner.running();
        if let Some(of_endpoint) = running.get_mut(&self.key.endpoint) {
            of_endpoint.retain(|id| *id != self.key.id);
            if of_endpoint.is_empty() {
                running.remove(&self.key.endpoint);
            }
        }
        drop(running);
        // Free before whoever looks for a free one is woken.
        drop(self.worker.take());
        self.inner.ports.hub.wake_deliveries();
    }
}
