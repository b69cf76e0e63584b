//! The one way to the blocking stores: a bounded number of threads behind a bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::ServiceError;
use crate::places::{PlaceLimits, Places};

/// Bounds of a [`StoragePool`].
#[derive(Clone, Copy, Debug)]
pub struct StoragePoolLimits {
    /// Calls that run at once: those that write share commits, so that more of them cost less each.
    pub running_max: usize,
    /// Calls that wait for a place.
    pub waiting_max: usize,
    /// How long one waits before it is refused.
    pub wait_max: Duration,
}

impl Default for StoragePoolLimits {
    fn default() -> Self {
        Self { running_max: 32, waiting_max: 1024, wait_max: Duration::from_secs(2) }
    }
}

/// Runs blocking store calls off the async threads.
#[derive(Clone, Debug)]
pub struct StoragePool {
    places: Places,
    refused: Arc<AtomicU64>,
}

impl StoragePool {
    /// A pool with these bounds.
    pub fn new(limits: StoragePoolLimits) -> Self {
        let StoragePoolLimits { running_max, waiting_max, wait_max } = limits;
        let places = Places::new(PlaceLimits { taken_max: running_max, waiting_max, wait_max });
        Self { places, refused: Arc::default() }
    }

    /// Calls that run now.
    pub fn running(&self) -> usize {
        self.places.taken()
    }

    /// Calls that may run at once.
    pub fn places(&self) -> usize {
        self.places.count()
    }

    /// Calls that wait for a place.
    pub fn waiting(&self) -> usize {
        self.places.waiting()
    }

    /// Calls refused so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Runs `call` on a blocking thread.
    ///
    /// # Errors
    /// [`ServiceError::StorageBusy`] when the queue is full or the wait too long; else the call's own error.
    pub async fn run<T, E, F>(&self, call: F) -> Result<T, ServiceError>
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Into<ServiceError> + Send + 'static,
    {
        let Some(place) = self.places.take().await else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(ServiceError::StorageBusy);
        };
        let outcome = tokio::task::spawn_blocking(move || {
            // The place is given back when the call ends, not when its caller leaves.
            let _place = place;
            call()
        });
        match outcome.await {
            Ok(result) => result.map_err(Into::into),
            Err(error) => {
                Err(ServiceError::Internal(format!("a storage call stopped unexpectedly: {error}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_pool_refuses_after_its_wait_and_recovers() {
        let limits =
            StoragePoolLimits { running_max: 1, waiting_max: 1, wait_max: Duration::from_millis(20) };
        let pool = StoragePool::new(limits);
        let (release, held) = std::sync::mpsc::sync_channel::<()>(1);
        let busy = pool.clone();
        let (started, is_running) = tokio::sync::oneshot::channel();
        let first = tokio::spawn(async move {
            busy.run(move || {
                started.send(()).expect("the test waits for it");
                held.recv().expect("the test lets go");
                Ok::<_, ServiceError>(1)
            })
            .await
        });
        is_running.await.expect("it started");
        let refused = pool.run(|| Ok::<_, ServiceError>(2)).await;
        assert!(matches!(refused, Err(ServiceError::StorageBusy)), "{refused:?}");
        assert_eq!((pool.running(), pool.waiting(), pool.refused()), (1, 0, 1));
        release.send(()).expect("it still runs");
        assert_eq!(first.await.expect("joined").expect("ran"), 1);
        assert_eq!(pool.run(|| Ok::<_, ServiceError>(3)).await.expect("free again"), 3);
    }
}
