//! Batches: files of requests, each run as a live call in its owner's name, few at a time, and answered in files.
//!
//! What has ended is a row of its own, written before the next thing happens. What may have been paid for without an answer is known by
//! the claim of its request, as for any request with an idempotency key: a process that finds one does not send the request again.

mod drive;
mod lines;
mod one;
mod results;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use atelier_domain::batch::{Batch, BatchEndpoint, BatchState, Counts, Moments, WINDOW_HOURS};
use atelier_domain::blob::BlobStore;
use atelier_domain::file::{Purpose, StoredFile};
use atelier_domain::id::{BatchId, UserId};
use atelier_domain::store::{BatchStore, FileStore};
use atelier_domain::time::Clock;
use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, watch};

use crate::accounts::Accounts;
use crate::caller::Caller;
use crate::disk::Room;
use crate::idempotency::Idempotency;
use crate::{ServiceError, StoragePool};

/// Bounds of batches.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Requests that run at once, of all batches.
    pub running_max: usize,
    /// Requests that run at once, of one batch.
    pub running_per_batch_max: usize,
    /// Batches that have not ended, of one user.
    pub open_per_user_max: usize,
    /// Batches that have not ended, of all users.
    pub open_max: usize,
    /// How long requests under way are waited for when the server stops.
    pub drain_max: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            running_max: 8,
            running_per_batch_max: 4,
            open_per_user_max: 16,
            open_max: 1_024,
            drain_max: Duration::from_secs(10),
        }
    }
}

/// What a request of a batch was answered.
#[derive(Clone, Debug)]
pub struct LineAnswer {
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
    /// Set where the same request may succeed after so long.
    pub retry_after: Option<Duration>,
}

/// Answers a request as if it had come by itself.
#[async_trait]
pub trait LineRunner: Send + Sync + fmt::Debug {
    /// Runs a request.
    async fn run(&self, caller: Caller, endpoint: BatchEndpoint, body: Bytes) -> LineAnswer;
    /// The answer to one that was refused before it ran.
    fn refused(&self, error: ServiceError, request_id: &str) -> LineAnswer;
}

/// What batches are kept and run with.
#[derive(Debug)]
pub struct BatchPorts {
    pub store: Arc<dyn BatchStore>,
    pub files: Arc<dyn FileStore>,
    pub blobs: Arc<dyn BlobStore>,
    pub pool: StoragePool,
    pub accounts: Arc<Accounts>,
    pub idempotency: Idempotency,
    pub room: Room,
    pub clock: Arc<dyn Clock>,
}

/// A batch to be begun.
#[derive(Debug)]
pub struct NewBatch {
    pub input: StoredFile,
    pub endpoint: BatchEndpoint,
    /// The caller's own.
    pub metadata: Vec<(String, String)>,
    /// After how many seconds its files go by themselves.
    pub output_expires_after: Option<u64>,
}

#[derive(Debug)]
struct Inner {
    ports: BatchPorts,
    limits: BatchLimits,
    /// Places of requests.
    places: Arc<Semaphore>,
    /// There may be a batch that nobody drives.
    waiting: Notify,
    /// Batches that are driven, each with whether it is to end early.
    driven: Mutex<HashMap<BatchId, watch::Sender<bool>>>,
    /// Held while the batches of a user are counted and one is added.
    creating: Arc<tokio::sync::Mutex<()>>,
}

/// Batches of all users.
#[derive(Clone, Debug)]
pub struct Batches {
    inner: Arc<Inner>,
}

impl Batches {
    /// At rest: [`Batches::run`] drives them.
    pub fn new(ports: BatchPorts, limits: BatchLimits) -> Self {
        let inner = Inner {
            ports,
            limits,
            places: Arc::new(Semaphore::new(limits.running_max)),
            waiting: Notify::new(),
            driven: Mutex::default(),
            creating: Arc::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Begins a batch: once this returns, it is on disk and will be run.
    ///
    /// # Errors
    /// The file is for something else or its content is gone, or too many batches have not ended.
    pub async fn create(&self, caller: &Caller, new: NewBatch) -> Result<Batch, ServiceError> {
        let NewBatch { input, endpoint, metadata, output_expires_after } = new;
        if input.purpose != Purpose::Batch {
            let message = format!("the file's purpose is {}; it must be batch", input.purpose);
            return Err(ServiceError::Invalid { param: "input_file_id".to_owned(), message });
        }
        let BatchPorts { store, blobs, pool, room, clock, .. } = &self.inner.ports;
        let now = clock.now();
        let batch = Batch {
            id: BatchId::new(),
            owner: caller.user(),
            key: caller.principal.key,
            endpoint,
            input_file: input.id,
            input: input.blob,
            input_size: input.size,
            metadata,
            output_expires_after,
            state: BatchState::Validating,
            created: now,
            expires: now.plus(Duration::from_secs(WINDOW_HOURS * 3600)),
            moments: Moments::default(),
            mistakes: Vec::new(),
            model: None,
            counts: Counts::default(),
            output_file: None,
            error_file: None,
        };
        let (store, blobs, room) = (store.clone(), blobs.clone(), room.clone());
        let (row, limits) = (batch.clone(), self.inner.limits);
        let turn = self.inner.creating.clone().lock_owned().await;
        pool.run(move || -> Result<(), ServiceError> {
            // To the end of it, also where its caller leaves meanwhile.
            let _turn = turn;
            room.check()?;
            let open = store.open_batches(limits.open_max)?;
            let (what, max) = ("batches that have not ended", limits.open_per_user_max);
            if open.iter().filter(|batch| batch.owner == row.owner).count() >= max {
                return Err(ServiceError::TooMany { what, max });
            }
            if open.len() >= limits.open_max {
                return Err(ServiceError::QueueFull { max: limits.open_max });
            }
            if blobs.claim(&row.input, "")?.is_none() {
                let (what, state) = ("a file", "not there");
                return Err(ServiceError::ContentMissing { what, blob: row.input, state });
            }
            Ok(store.create_batch(&row)?)
        })
        .await?;
        self.inner.waiting.notify_one();
        Ok(batch)
    }

    /// The caller's batch.
    ///
    /// # Errors
    /// They have none such.
    pub async fn get(&self, caller: &Caller, id: BatchId) -> Result<Batch, ServiceError> {
        self.inner.of(caller.user(), id).await
    }

    /// The caller's batches, newest first.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn list(
        &self,
        caller: &Caller,
        before: Option<BatchId>,
        limit: usize,
    ) -> Result<Vec<Batch>, ServiceError> {
        let (store, owner) = (self.inner.ports.store.clone(), caller.user());
        self.inner.ports.pool.run(move || store.batches_of(owner, before, limit)).await
    }

    /// Asks for a batch to be ended: what is under way ends by itself, nothing more is begun, and what is answered is kept. One that
    /// has ended, or is about to, stays as it is.
    ///
    /// # Errors
    /// They have no such batch.
    pub async fn cancel(&self, caller: &Caller, id: BatchId) -> Result<Batch, ServiceError> {
        self.cancel_of(caller.user(), id).await
    }

    /// The same, of a user's batch.
    pub(crate) async fn cancel_of(&self, owner: UserId, id: BatchId) -> Result<Batch, ServiceError> {
        self.inner.of(owner, id).await?;
        let now = self.inner.ports.clock.now();
        let changed = self
            .inner
            .change(id, move |batch| {
                let can = matches!(batch.state, BatchState::Validating | BatchState::InProgress);
                if can {
                    batch.enter(BatchState::Cancelling, now);
                }
                can
            })
            .await?;
        if let Some(ending) = self.inner.driven().get(&id) {
            ending.send_replace(true);
        }
        Ok(changed)
    }
}

const NO_BATCH: ServiceError = ServiceError::NotFound { what: "such batch" };

impl Inner {
    /// The set stays consistent whatever panics beside it, so that a poisoned lock is still good.
    fn driven(&self) -> MutexGuard<'_, HashMap<BatchId, watch::Sender<bool>>> {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn of(&self, owner: UserId, id: BatchId) -> Result<Batch, ServiceError> {
        let store = self.ports.store.clone();
        let found = self.ports.pool.run(move || store.batch_of(owner, id)).await?;
        found.ok_or(NO_BATCH)
    }

    async fn change(
        &self,
        id: BatchId,
        change: impl Fn(&mut Batch) -> bool + Send + 'static,
    ) -> Result<Batch, ServiceError> {
        let store = self.ports.store.clone();
        self.ports.pool.run(move || store.change_batch(id, &change)).await?.ok_or(NO_BATCH)
    }
}
