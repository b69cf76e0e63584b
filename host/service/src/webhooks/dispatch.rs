//! Sending what is due: bounded over all and for each endpoint, so that none keeps the others waiting.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_domain::id::{DeliveryId, EndpointId, UserId};
use atelier_domain::store::{DeliveryKey, DueDelivery, StoreError, SweepPage};
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
/// Between sweeps of old deliveries, and between two goes of one.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEEP_PAUSE: Duration = Duration::from_millis(20);

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
    fn running(&self) -> MutexGuard<'_, SendingNow> {
        // The maps stay consistent whatever panics beside it, so that a poisoned lock is still good.
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
        for due in page.due {
            let Some(started) = self.clone().start(due) else { continue };
            if !started {
                // A worker that ends wakes us again.
                *from = Some(due.key.endpoint);
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

    /// Begins an attempt. `Some(false)`: no worker is free; `None`: it is being sent, or its endpoint or its owner has their share of workers.
    fn start(self: Arc<Self>, DueDelivery { key, owner }: DueDelivery) -> Option<bool> {
        {
            let running = self.running();
            let of_endpoint = running.of_endpoint.get(&key.endpoint).map_or(&[][..], Vec::as_slice);
            if of_endpoint.contains(&key.id) || of_endpoint.len() >= self.limits.concurrent_per_endpoint {
                return None;
            }
            let of_owner = owner.and_then(|owner| running.of_user.get(&owner)).copied().unwrap_or(0);
            if of_owner >= self.limits.concurrent_per_user {
                return None;
            }
        }
        let Ok(worker) = self.workers.clone().try_acquire_owned() else { return Some(false) };
        self.running().begin(key, owner);
        let sending = Sending { inner: self, key, owner, worker: Some(worker) };
        tokio::spawn(async move {
            if let Err(error) = sending.inner.attempt(sending.key).await {
                tracing::error!(delivery = %sending.key.id, %error, "an attempt at a webhook could not be recorded");
                tokio::time::sleep(STORE_PAUSE).await;
            }
            drop(sending);
        });
        Some(true)
    }

    /// Removes old deliveries beside what is sent, unless that is still going on.
    fn spawn_sweep(self: &Arc<Self>) {
        let Ok(alone) = self.sweeping.clone().try_acquire_owned() else { return };
        let inner = self.clone();
        tokio::spawn(async move {
            let _alone = alone;
            if let Err(error) = inner.sweep().await {
                tracing::warn!(%error, "old webhook deliveries could not be removed");
            }
        });
    }

    /// Removes all that is old, a little at a time.
    async fn sweep(&self) -> Result<(), ServiceError> {
        let age = u64::try_from(self.limits.kept_for.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp(self.ports.clock.now().0.saturating_sub(age));
        let mut page = SweepPage::first(self.limits.swept_at_once);
        loop {
            let (store, wanted) = (self.ports.deliveries.clone(), page.clone());
            let swept = self.ports.pool.run(move || store.sweep_deliveries(before, &wanted)).await?;
            for why in &swept.unreadable {
                tracing::error!(why, "a webhook delivery could not be removed");
            }
            self.counts.skipped(swept.unreadable.len());
            page.after = swept.next;
            if page.after.is_none() {
                return Ok(());
            }
            tokio::time::sleep(SWEEP_PAUSE).await;
        }
    }
}

/// What is being sent.
#[derive(Debug, Default)]
pub(super) struct SendingNow {
    of_endpoint: HashMap<EndpointId, Vec<DeliveryId>>,
    of_user: HashMap<UserId, usize>,
}

impl SendingNow {
    fn begin(&mut self, key: DeliveryKey, owner: Option<UserId>) {
        self.of_endpoint.entry(key.endpoint).or_default().push(key.id);
        if let Some(owner) = owner {
            *self.of_user.entry(owner).or_default() += 1;
        }
    }

    fn end(&mut self, key: DeliveryKey, owner: Option<UserId>) {
        if let Some(of_endpoint) = self.of_endpoint.get_mut(&key.endpoint) {
            of_endpoint.retain(|id| *id != key.id);
            if of_endpoint.is_empty() {
                self.of_endpoint.remove(&key.endpoint);
            }
        }
        if let Some((owner, of_user)) = owner.and_then(|owner| Some((owner, self.of_user.get_mut(&owner)?))) {
            *of_user -= 1;
            if *of_user == 0 {
                self.of_user.remove(&owner);
            }
        }
    }
}

/// A delivery being sent. However that ends, panics included, it is free again.
struct Sending {
    inner: Arc<Inner>,
    key: DeliveryKey,
    owner: Option<UserId>,
    worker: Option<OwnedSemaphorePermit>,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.inner.running().end(self.key, self.owner);
        // Free before whoever looks for a free one is woken.
        drop(self.worker.take());
        self.inner.ports.hub.wake_deliveries();
    }
}
