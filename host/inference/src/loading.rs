//! Fetching, loading and unloading a model that several callers share.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::{Semaphore, watch};

use crate::engine::{EngineState, WeightsSource};
use crate::error::{EngineError, FetchError};
use crate::residency::{Budget, Resident, Room, Rooms};
use crate::weights;

/// After a failure, callers get the same error for this long instead of another attempt.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A loaded model and whatever runs it.
pub(crate) trait Served: Send + Sync + 'static {
    /// What the model is and takes.
    type Info: Clone + fmt::Debug + Send + Sync + 'static;

    fn info(&self) -> &Self::Info;
    /// Its share of the memory for all models.
    fn room(&self) -> &Room;
    /// Whether it can still take requests.
    fn is_alive(&self) -> bool;
    /// End all requests; ready once its memory is free but for what callers hold.
    fn stop(&self) -> BoxFuture<'_, ()>;
}

type SharedLoad<S> = Shared<BoxFuture<'static, Result<Arc<S>, EngineError>>>;
type Loader<S> = Box<dyn Fn(&Path, &Rooms) -> Result<S, EngineError> + Send + Sync>;

/// At most one loaded `S`, made on first use.
pub(crate) struct Loading<S: Served> {
    source: WeightsSource,
    budget: Budget,
    /// Each request holds one until it ends: while all are free, nobody uses the model.
    places: Arc<Semaphore>,
    places_max: usize,
    /// Blocks while it reads.
    load: Loader<S>,
    slot: Mutex<Slot<S>>,
    state: watch::Sender<EngineState<S::Info>>,
}

enum Slot<S> {
    Empty,
    Loading(SharedLoad<S>),
    Loaded(Arc<S>),
    Failed { error: EngineError, at: Instant },
}

impl<S: Served> Loading<S> {
    /// `places` are those of requests, all free now.
    pub(crate) fn new(
        source: WeightsSource,
        budget: Budget,
        places: Arc<Semaphore>,
        load: Loader<S>,
    ) -> Self {
        let state = watch::Sender::new(at_rest(&source));
        let places_max = places.available_permits();
        Self { source, budget, places, places_max, load, slot: Mutex::new(Slot::Empty), state }
    }

    pub(crate) fn state(&self) -> EngineState<S::Info> {
        self.state.borrow().clone()
    }

    /// What is loaded; loads it where needed. Several callers share one load, and one who leaves does not interrupt it.
    pub(crate) async fn running(self: &Arc<Self>) -> Result<Arc<S>, EngineError> {
        let load = {
            let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
            match &*slot {
                Slot::Loaded(running) if running.is_alive() => {
                    running.room().touch();
                    return Ok(running.clone());
                }
                Slot::Failed { error, at } if at.elapsed() < RETRY_AFTER => return Err(error.clone()),
                Slot::Loading(load) => load.clone(),
                Slot::Empty | Slot::Loaded(_) | Slot::Failed { .. } => {
                    let load = self.begin();
                    *slot = Slot::Loading(load.clone());
                    load
                }
            }
        };
        load.await
    }

    /// Start a load on a task of its own, so that it outlives a caller who leaves.
    fn begin(self: &Arc<Self>) -> SharedLoad<S> {
        let loading = self.clone();
        let task = tokio::spawn(async move {
            let resident: Weak<dyn Resident> = Arc::downgrade(&loading) as Weak<dyn Resident>;
            let runtime = tokio::runtime::Handle::current();
            let rooms = Rooms { budget: loading.budget.clone(), resident, runtime };
            let loader = loading.clone();
            let outcome = tokio::task::spawn_blocking(move || loader.fetch_and_load(&rooms)).await;
            let outcome = outcome.unwrap_or(Err(EngineError::Stopped)).map(Arc::new);
            loading.settle(&outcome);
            outcome
        });
        async move { task.await.unwrap_or(Err(EngineError::Stopped)) }.boxed().shared()
    }

    fn fetch_and_load(&self, rooms: &Rooms) -> Result<S, EngineError> {
        let path = match &self.source {
            WeightsSource::File(path) => path.clone(),
            WeightsSource::Pulled { weights, cache_dir } if weights.is_fetched(cache_dir) => {
                weights.path_in(cache_dir)
            }
            WeightsSource::Pulled { weights, .. } => {
                return Err(FetchError::NotPulled { name: weights.name.clone() }.into());
            }
            WeightsSource::Published { source, cache_dir } => {
                weights::fetch(source, cache_dir, |progress| {
                    self.state.send_replace(EngineState::Fetching(progress));
                })?
            }
        };
        self.state.send_replace(EngineState::Loading);
        (self.load)(&path, rooms)
    }

    /// Record how a load ended. The slot and the state change together.
    fn settle(&self, outcome: &Result<Arc<S>, EngineError>) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(running) => {
                tracing::info!(info = ?running.info(), "model loaded");
                *slot = Slot::Loaded(running.clone());
                self.state.send_replace(EngineState::Ready(running.info().clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a model could not be loaded");
                *slot = Slot::Failed { error: error.clone(), at: Instant::now() };
                self.state.send_replace(EngineState::Failed { reason: error.to_string() });
            }
        }
    }

    /// Stop what is loaded, or what is being loaded once it is.
    pub(crate) async fn unload(&self) {
        let taken = {
            let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
            match &*slot {
                Slot::Loading(load) => Err(load.clone()),
                _ => Ok(std::mem::replace(&mut *slot, Slot::Empty)),
            }
        };
        let running = match taken {
            Ok(Slot::Loaded(running)) => Some(running),
            Ok(_) => None,
            Err(load) => {
                let running = load.await.ok();
                let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
                // Another user may have begun anew meanwhile; only what was waited for is taken away.
                if let (Slot::Loaded(loaded), Some(running)) = (&*slot, &running)
                    && Arc::ptr_eq(loaded, running)
                {
                    *slot = Slot::Empty;
                }
                running
            }
        };
        if let Some(running) = running {
            running.stop().await;
        }
        let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*slot, Slot::Empty) {
            self.state.send_replace(at_rest(&self.source));
        }
    }
}

impl<S: Served> Resident for Loading<S> {
    fn evict(&self) -> Option<BoxFuture<'static, ()>> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has a place is about to use it; who holds it, uses it. Nobody begins to while the slot is locked.
        let is_idle = self.places.available_permits() == self.places_max
            && matches!(&*slot, Slot::Loaded(running) if Arc::strong_count(running) == 1);
        if !is_idle {
            return None;
        }
        let Slot::Loaded(running) = std::mem::replace(&mut *slot, Slot::Empty) else { return None };
        self.state.send_replace(at_rest(&self.source));
        drop(slot);
        tracing::info!(info = ?running.info(), "an idle model is unloaded to make room");
        Some(async move { running.stop().await }.boxed())
    }
}

/// The state before a first load and after an unload.
fn at_rest<I>(source: &WeightsSource) -> EngineState<I> {
    match source {
        WeightsSource::Published { source, cache_dir } if !source.is_fetched(cache_dir) => {
            EngineState::NotFetched
        }
        WeightsSource::Pulled { weights, cache_dir } if !weights.is_fetched(cache_dir) => {
            EngineState::NotFetched
        }
        _ => EngineState::Unloaded,
    }
}

impl<S: Served> fmt::Debug for Loading<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loading").field("source", &self.source).field("state", &self.state()).finish()
    }
}
