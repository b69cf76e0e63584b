//! Answers that are kept: taken in without anybody waiting for a disk, found at once, forgotten in time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_domain::id::{ResponseId, UserId};
use atelier_domain::response::StoredResponse;
use atelier_domain::store::{ResponseStore, SweepPage};
use atelier_domain::time::Clock;
use tokio::sync::watch;

use crate::caller::Caller;
use crate::{ServiceError, StoragePool, patience};

/// Expired answers removed in one go, and the rest from one to the next.
const PAGE: usize = 256;
const BETWEEN_PAGES: Duration = Duration::from_millis(10);
/// From one sweep to the next.
const REST: Duration = Duration::from_secs(15 * 60);
/// How long an answer is held for a storage that does not take it.
const STORING_MAX: Duration = Duration::from_secs(60);

/// Bounds of kept answers.
#[derive(Clone, Copy, Debug)]
pub struct ResponseLimits {
    /// Whether answers are kept here at all.
    pub is_kept: bool,
    pub kept_for: Duration,
    /// Bytes of all that a user keeps here, files included.
    pub quota_bytes: u64,
    /// Answers that one request goes on from.
    pub chain_max: usize,
    /// Their bytes.
    pub chain_bytes_max: u64,
    /// Answers on their way to the disk; above it, more are not kept.
    pub pending_max: usize,
}

/// What answers are kept with.
#[derive(Debug)]
pub struct ResponsePorts {
    pub store: Arc<dyn ResponseStore>,
    pub pool: StoragePool,
    pub clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Inner {
    ports: ResponsePorts,
    limits: ResponseLimits,
    /// On their way to the disk.
    pending: Mutex<HashMap<ResponseId, Arc<StoredResponse>>>,
}

/// Kept answers of all users.
#[derive(Clone, Debug)]
pub struct Responses {
    inner: Arc<Inner>,
}

/// An answer to be kept.
#[derive(Debug)]
pub struct NewResponse {
    pub id: ResponseId,
    pub owner: UserId,
    pub previous: Option<ResponseId>,
    pub input: Vec<String>,
    pub output: Vec<String>,
    pub answer: String,
}

impl Responses {
    /// Over a store.
    pub fn new(ports: ResponsePorts, limits: ResponseLimits) -> Self {
        Self { inner: Arc::new(Inner { ports, limits, pending: Mutex::default() }) }
    }

    /// Whether answers are kept here at all.
    pub fn is_kept(&self) -> bool {
        self.inner.limits.is_kept
    }

    /// Answers on their way to the disk.
    pub fn pending(&self) -> usize {
        self.inner.pending().len()
    }

    /// Keeps an answer. It is found from now on, and on disk a moment later. One for which there is no room is not kept, which the log
    /// says: its caller has it already.
    pub fn keep(&self, new: NewResponse) {
        let created = self.inner.ports.clock.now();
        let expires = created.plus(self.inner.limits.kept_for);
        let NewResponse { id, owner, previous, input, output, answer } = new;
        let response =
            Arc::new(StoredResponse { id, owner, previous, created, expires, input, output, answer });
        {
            let mut pending = self.inner.pending();
            if pending.len() >= self.inner.limits.pending_max {
                tracing::warn!(%owner, "an answer is not kept: too many are on their way to the disk");
                return;
            }
            pending.insert(id, response.clone());
        }
        let inner = self.inner.clone();
        tokio::spawn(async move {
            let kept = patience::patiently(STORING_MAX, || {
                let (store, max, row) =
                    (inner.ports.store.clone(), inner.limits.quota_bytes, response.clone());
                inner.ports.pool.run(move || store.create_response(&row, max))
            });
            if let Err(error) = kept.await {
                tracing::warn!(owner = %response.owner, %error, "an answer is not kept");
            }
            inner.pending().remove(&response.id);
        });
    }

    /// The caller's answer.
    ///
    /// # Errors
    /// They have none such.
    pub async fn get(&self, caller: &Caller, id: ResponseId) -> Result<Arc<StoredResponse>, ServiceError> {
        self.inner.of(caller.user(), id).await
    }

    /// Those of the caller's answers that are among the next `limit` of anybody's behind `after`, and where to go on.
    pub async fn page(
        &self,
        caller: &Caller,
        after: Option<ResponseId>,
        limit: usize,
    ) -> Result<(Vec<StoredResponse>, Option<ResponseId>), ServiceError> {
        let (store, owner) = (self.inner.ports.store.clone(), caller.user());
        self.inner.ports.pool.run(move || store.responses_of(owner, after, limit)).await
    }

    /// An answer of the caller's with those that it goes on from, oldest first.
    ///
    /// # Errors
    /// One of them is not there (any more), or they are too many or too large.
    pub async fn chain(
        &self,
        caller: &Caller,
        id: ResponseId,
    ) -> Result<Vec<Arc<StoredResponse>>, ServiceError> {
        let ResponseLimits { chain_max, chain_bytes_max, .. } = self.inner.limits;
        let (mut chain, mut bytes, mut next) = (Vec::new(), 0, Some(id));
        while let Some(id) = next {
            let response = self.get(caller, id).await?;
            bytes += response.bytes();
            if chain.len() == chain_max || bytes > chain_bytes_max {
                let message = format!(
                    "it goes on from more than {chain_max} answers or {chain_bytes_max} bytes: send the conversation as `input`"
                );
                return Err(ServiceError::Invalid { param: "previous_response_id".to_owned(), message });
            }
            next = response.previous;
            chain.push(response);
        }
        chain.reverse();
        Ok(chain)
    }

    /// Forgets an answer of the caller's.
    ///
    /// # Errors
    /// They have none such.
    pub async fn remove(&self, caller: &Caller, id: ResponseId) -> Result<(), ServiceError> {
        // One that is still on its way is waited for, so that it does not come back.
        while self.inner.pending().contains_key(&id) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (store, owner) = (self.inner.ports.store.clone(), caller.user());
        match self.inner.ports.pool.run(move || store.remove_response(owner, id)).await? {
            true => Ok(()),
            false => Err(NO_RESPONSE),
        }
    }

    /// Forgets what is over until told to stop.
    pub async fn run(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                swept = self.sweep() => {
                    if let Err(error) = swept {
                        tracing::error!(%error, "kept answers whose time is over could not be removed");
                    }
                }
                _ = stopped.wait_for(|stop| *stop) => return,
            }
            tokio::select! {
                () = tokio::time::sleep(REST) => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Removes all answers whose time is over, a few at a time; gives how many. What cannot be read is left, which the log says.
    ///
    /// # Errors
    /// Storage is failing or busy; what was removed stays removed.
    pub async fn sweep(&self) -> Result<usize, ServiceError> {
        let (mut removed, mut page) = (0, SweepPage::first(PAGE));
        loop {
            let (store, now, wanted) =
                (self.inner.ports.store.clone(), self.inner.ports.clock.now(), page.clone());
            let sweeping = move || {
                let over = store.expired_responses(now, &wanted)?;
                over.unreadable
                    .iter()
                    .for_each(|why| tracing::error!(why, "a sweep left a kept answer where it is"));
                over.rows.iter().try_for_each(|(owner, id)| store.remove_response(*owner, *id).map(drop))?;
                Ok::<_, ServiceError>((over.rows.len(), over.next))
            };
            let (count, next) = self.inner.ports.pool.run(sweeping).await?;
            removed += count;
            page.after = next;
            if page.after.is_none() {
                return Ok(removed);
            }
            tokio::time::sleep(BETWEEN_PAGES).await;
        }
    }
}

const NO_RESPONSE: ServiceError = ServiceError::NotFound { what: "such response" };

impl Inner {
    /// The set stays consistent whatever panics beside it, so that a poisoned lock is still good.
    fn pending(&self) -> MutexGuard<'_, HashMap<ResponseId, Arc<StoredResponse>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn of(&self, owner: UserId, id: ResponseId) -> Result<Arc<StoredResponse>, ServiceError> {
        let on_its_way = self.pending().get(&id).cloned();
        let found = match on_its_way {
            Some(response) => Some(response).filter(|response| response.owner == owner),
            None => {
                let store = self.ports.store.clone();
                self.ports.pool.run(move || store.response_of(owner, id)).await?.map(Arc::new)
            }
        };
        let now = self.ports.clock.now();
        found.filter(|response| response.expires > now).ok_or(NO_RESPONSE)
    }
}
