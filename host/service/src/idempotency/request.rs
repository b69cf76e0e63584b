//! A request with a key, on its way.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use atelier_domain::id::JobId;
use atelier_domain::idempotency::{Claim, ClaimKey, ClaimState, KeptAnswer};
use atelier_domain::provider::ChargeJournal;
use atelier_domain::store::StoreError;
use tokio::sync::OnceCell;

use super::{Inner, Running, When};
use crate::ServiceError;

/// A request with a key. It travels with its caller, so that whatever it creates or costs is claimed without the code in between
/// having to think of it.
pub struct KeyedRequest {
    inner: Arc<Inner>,
    key: ClaimKey,
    /// As it is when it is begun.
    claim: Claim,
    /// The job that an earlier attempt became.
    earlier: Option<JobId>,
    /// The job that this one became.
    job: OnceLock<JobId>,
    /// Set once the claim is on disk.
    claimed: OnceCell<()>,
    calls: AtomicU64,
    /// Charging requests that have left and may have been paid for. Those count that their provider knows by no key.
    outstanding: AtomicU64,
}

impl fmt::Debug for KeyedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRequest").field("key", &self.key).finish_non_exhaustive()
    }
}

impl KeyedRequest {
    pub(super) fn new(inner: Arc<Inner>, key: ClaimKey, claim: Claim, earlier: Option<JobId>) -> Self {
        let (job, claimed) = (OnceLock::new(), OnceCell::new());
        let (calls, outstanding) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { inner, key, claim, earlier, job, claimed, calls, outstanding }
    }

    /// The job that an earlier attempt became, which this one is about too.
    pub(crate) fn earlier_job(&self) -> Option<JobId> {
        self.earlier
    }

    /// The claim to be written with a job: a request is the claim of one job, its first.
    pub(crate) fn claim_for(&self, job: JobId) -> Option<(ClaimKey, Claim)> {
        let is_first = self.earlier.is_none() && self.job.get().is_none();
        is_first.then(|| (self.key, Claim { state: ClaimState::Job(job), ..self.claim.clone() }))
    }

    /// A job was created with the claim.
    pub(crate) fn became(&self, job: JobId) {
        // A second job of one request is not its answer.
        let _ = self.job.set(job);
    }

    /// The key under which a provider is called: the same for the same call of a repetition, another for each call.
    pub fn call_key(&self) -> String {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut hasher = blake3::Hasher::new_derive_key("atelier 2026-11 provider idempotency key v1");
        hasher.update(self.key.owner.as_bytes()).update(&self.key.digest).update(&call.to_be_bytes());
        // A key that expired and came again is another request.
        hasher.update(self.claim.payload.as_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// Writes the claim, once.
    pub(super) async fn claim_now(&self) -> Result<(), ServiceError> {
        self.claimed.get_or_try_init(|| self.put(self.claim.clone(), None)).await.map(drop)
    }

    async fn put(&self, claim: Claim, body: Option<Vec<u8>>) -> Result<(), ServiceError> {
        let (store, key, max) = (self.inner.store.clone(), self.key, self.inner.limits.owner_bytes_max);
        self.inner.pool.run(move || store.put_claim(&key, &claim, body.as_deref(), max)).await
    }
}

/// A charging request that is about to leave. It does not where its call ends first.
struct Leaving<'a>(&'a AtomicU64);

impl<'a> Leaving<'a> {
    fn begin(outstanding: &'a AtomicU64) -> Self {
        outstanding.fetch_add(1, Ordering::AcqRel);
        Self(outstanding)
    }

    fn leaves(self) {
        // It counts until it is withdrawn.
        std::mem::forget(self);
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[async_trait]
impl ChargeJournal for KeyedRequest {
    async fn charging(&self, repeatable: bool) -> Result<(), StoreError> {
        // The provider knows the call by its key: a repetition may send it again.
        if repeatable {
            return Ok(());
        }
        let leaving = Leaving::begin(&self.outstanding);
        match self.claim_now().await {
            Ok(()) => {
                leaving.leaves();
                Ok(())
            }
            Err(ServiceError::Store(error)) => Err(error),
            Err(other) => Err(StoreError::Unavailable(other.to_string())),
        }
    }

    fn withdrawn(&self, repeatable: bool) {
        if !repeatable {
            self.outstanding.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// What a request has done, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing, unless it succeeded: no request that costs has left, or none of them was taken.
    None,
    /// Its handling began, and it may have created something.
    Begun,
    /// A request that costs has left, and may have been paid for.
    Charged,
    /// It became a job, which is its answer.
    Job,
}

/// A request being handled. Its key is in use until this is dropped.
#[derive(Debug)]
pub struct Ticket {
    request: Arc<KeyedRequest>,
    when: When,
    _running: Running,
}

impl Ticket {
    pub(super) fn new(request: Arc<KeyedRequest>, when: When, running: Running) -> Self {
        Self { request, when, _running: running }
    }

    /// What travels with the caller.
    pub fn request(&self) -> Arc<KeyedRequest> {
        self.request.clone()
    }

    /// Whether an earlier attempt became a job, so that this one repeats its answer.
    pub fn is_repetition(&self) -> bool {
        self.request.earlier.is_some()
    }

    /// What it has done so far.
    pub fn effect(&self) -> Effect {
        let request = &self.request;
        if request.earlier.is_some() || request.job.get().is_some() {
            return Effect::Job;
        }
        match self.when {
            When::Before if request.claimed.initialized() => Effect::Begun,
            When::WithEffect if request.outstanding.load(Ordering::Acquire) > 0 => Effect::Charged,
            When::Before | When::WithEffect => Effect::None,
        }
    }

    /// Keeps the answer; without a body, a repetition learns only that there was one. A job is its own answer.
    ///
    /// # Errors
    /// It could not be written: what is known of the request stays as it was.
    pub async fn keep(self, answer: KeptAnswer, body: Option<Vec<u8>>) -> Result<(), ServiceError> {
        if self.effect() == Effect::Job {
            return Ok(());
        }
        let claim = Claim { state: ClaimState::Answered(answer), ..self.request.claim.clone() };
        self.request.put(claim, body).await
    }

    /// Frees the key: nothing happened.
    ///
    /// # Errors
    /// It could not be written: a repetition is told that the outcome is unknown.
    pub async fn free(self) -> Result<(), ServiceError> {
        if self.effect() == Effect::Job || !self.request.claimed.initialized() {
            return Ok(());
        }
        let (store, key) = (self.request.inner.store.clone(), self.request.key);
        self.request.inner.pool.run(move || store.remove_claim(&key)).await
    }
}
