//! A bounded number of places behind a bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds of [`Places`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlaceLimits {
    /// Taken at once.
    pub taken_max: usize,
    /// Who wait for one.
    pub waiting_max: usize,
    /// How long one waits before it is refused.
    pub wait_max: Duration,
}

/// Places that are taken in the order of asking.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    limits: PlaceLimits,
}

/// Counts who waits for as long as they do, however they stop.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Places {
    /// All of them free.
    pub fn new(limits: PlaceLimits) -> Self {
        Self { free: Arc::new(Semaphore::new(limits.taken_max)), waiting: Arc::default(), limits }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.limits.taken_max - self.free.available_permits()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.limits.taken_max
    }

    /// Who wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// One of them, until it is dropped; `None` where too many wait, or it takes too long.
    pub async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = self.free.clone().try_acquire_owned() {
            return Some(place);
        }
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _counted = Waiting(&self.waiting);
        if waiting >= self.limits.waiting_max {
            return None;
        }
        // Nobody closes it.
        tokio::time::timeout(self.limits.wait_max, self.free.clone().acquire_owned()).await.ok()?.ok()
    }
}
