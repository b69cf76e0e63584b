//! Requests with an idempotency key: one effect and one answer for each key.
//!
//! Which requests run is known in memory, since one process owns the database. What is kept on disk is a claim, written
//! at the last moment at which that is early enough: before what a request creates, together with the job that it becomes, or
//! before the first charging request of a live call leaves. So whatever is refused before that costs no write and leaves the key
//! free, and after a crash a claim without an answer says that the outcome is unknown: it is never a second paid call.

mod request;

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atelier_domain::id::UserId;
use atelier_domain::idempotency::{Claim, ClaimKey, ClaimState, ClaimStore, KeptAnswer};
use atelier_domain::store::SweepPage;
use atelier_domain::time::Clock;
use tokio::sync::watch;

pub use request::{Effect, KeyedRequest, Ticket};

use crate::{ServiceError, StoragePool};

/// Between two goes of a sweep.
const SWEEP_PAUSE: Duration = Duration::from_millis(20);

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug)]
pub struct IdempotencyLimits {
    /// How long a key is remembered.
    pub kept_for: Duration,
    /// Bytes of one answer's body; a larger one is not kept.
    pub answer_bytes_max: usize,
    /// Bytes of all bodies kept for one user.
    pub owner_bytes_max: u64,
    /// Expired claims removed at a time.
    pub swept_max: usize,
    /// How often expired claims are removed.
    pub sweep_every: Duration,
}

impl Default for IdempotencyLimits {
    fn default() -> Self {
        Self {
            kept_for: Duration::from_secs(24 * 3600),
            answer_bytes_max: 4 << 20,
            owner_bytes_max: 256 << 20,
            swept_max: 256,
            sweep_every: Duration::from_secs(60),
        }
    }
}

/// When a request's claim is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before it is handled.
    Before,
    /// With what it creates or costs: in the transaction of its job, or before a charging request of a live call leaves.
    WithEffect,
}

/// What to do with a request that has a key.
#[derive(Debug)]
pub enum Entered {
    /// Handle it: it is the first, or its job has the answer.
    Handle(Ticket),
    /// Give this answer again.
    Replay { answer: KeptAnswer, body: Vec<u8> },
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn ClaimStore>,
    pool: StoragePool,
    clock: Arc<dyn Clock>,
    limits: IdempotencyLimits,
    /// Requests under way, each with its payload's digest.
    running: Mutex<HashMap<ClaimKey, String>>,
}

/// The keys of all callers.
#[derive(Clone, Debug)]
pub struct Idempotency {
    inner: Arc<Inner>,
}

impl Idempotency {
    /// Over a store. This process is the only one that uses it.
    pub fn new(
        store: Arc<dyn ClaimStore>,
        pool: StoragePool,
        clock: Arc<dyn Clock>,
        limits: IdempotencyLimits,
    ) -> Self {
        Self { inner: Arc::new(Inner { store, pool, clock, limits, running: Mutex::default() }) }
    }

    /// The bounds.
    pub fn limits(&self) -> &IdempotencyLimits {
        &self.inner.limits
    }

    /// Begins a request with a key. `route` is its method and path as the route table writes them, `payload` the digest of its
    /// method, path and body.
    ///
    /// # Errors
    /// - [`ServiceError::KeyReused`]: the key came with another payload.
    /// - [`ServiceError::KeyInUse`]: the first request is still under way.
    /// - [`ServiceError::ClaimUnknown`]: it was interrupted after its effect may have happened.
    /// - [`ServiceError::AnswerNotKept`]: it was answered, and the answer is not there any more.
    pub async fn enter(
        &self,
        owner: UserId,
        route: &str,
        key: &str,
        payload: String,
        when: When,
    ) -> Result<Entered, ServiceError> {
        let inner = &self.inner;
        let key = ClaimKey::new(owner, route, key);
        let running = Running::begin(inner, key, &payload)?;
        let store = inner.store.clone();
        let found = inner.pool.run(move || store.claim(&key)).await?;
        let now = inner.clock.now();
        let claim = Claim { payload, expires: now.plus(inner.limits.kept_for), state: ClaimState::Begun };
        let job = match found.filter(|found| found.expires > now) {
            None => None,
            Some(found) if found.payload != claim.payload => return Err(ServiceError::KeyReused),
            Some(Claim { state: ClaimState::Begun, .. }) => return Err(ServiceError::ClaimUnknown),
            Some(Claim { state: ClaimState::Job(job), .. }) => Some(job),
            Some(Claim { state: ClaimState::Answered(answer), .. }) => {
                let store = inner.store.clone();
                let body = inner.pool.run(move || store.claim_body(&key)).await?;
                let body = body.filter(|_| answer.has_body).ok_or(ServiceError::AnswerNotKept)?;
                return Ok(Entered::Replay { answer, body });
            }
        };
        let request = KeyedRequest::new(inner.clone(), key, claim, job);
        if when == When::Before && job.is_none() {
            request.claim_now().await?;
        }
        Ok(Entered::Handle(Ticket::new(Arc::new(request), when, running)))
    }

    /// Removes expired claims until told to stop.
    pub async fn run(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                swept = self.sweep() => if let Err(error) = swept {
                    tracing::error!(%error, "expired idempotency keys could not be removed");
                },
                _ = stopped.wait_for(|stop| *stop) => return,
            }
            tokio::select! {
                () = tokio::time::sleep(self.inner.limits.sweep_every) => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Removes all that has expired, a little at a time.
    async fn sweep(&self) -> Result<(), ServiceError> {
        let now = self.inner.clock.now();
        let mut page = SweepPage::first(self.inner.limits.swept_max);
        loop {
            let (store, wanted) = (self.inner.store.clone(), page.clone());
            let swept = self.inner.pool.run(move || store.sweep_claims(now, &wanted)).await?;
            for why in &swept.unreadable {
                tracing::error!(why, "an expired idempotency key could not be removed");
            }
            page.after = swept.next;
            if page.after.is_none() {
                return Ok(());
            }
            tokio::time::sleep(SWEEP_PAUSE).await;
        }
    }
}

/// A request counts as under way for as long as this lives.
#[derive(Debug)]
struct Running {
    inner: Arc<Inner>,
    key: ClaimKey,
}

impl Running {
    fn begin(inner: &Arc<Inner>, key: ClaimKey, payload: &str) -> Result<Self, ServiceError> {
        match inner.running.lock().unwrap_or_else(PoisonError::into_inner).entry(key) {
            MapEntry::Occupied(other) if other.get() != payload => Err(ServiceError::KeyReused),
            MapEntry::Occupied(_) => Err(ServiceError::KeyInUse),
            MapEntry::Vacant(free) => {
                free.insert(payload.to_owned());
                Ok(Self { inner: inner.clone(), key })
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
