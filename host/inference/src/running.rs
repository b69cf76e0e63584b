//! What all engines have in common: places for requests in front, and behind them a loaded model with a thread that computes.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::engine::{EngineState, WeightsSource};
use crate::error::{EngineError, ModelError};
use crate::loading::{Loading, Served};
use crate::pace::Pace;
use crate::residency::{Budget, Room, Rooms};

/// A loaded model that tells what it is.
pub(crate) trait Described: Send + Sync + 'static {
    /// What the model is and takes.
    type Info: Clone + fmt::Debug + Send + Sync + 'static;

    fn info(&self) -> &Self::Info;
}

/// A loaded model and the thread that runs jobs of the kind `J` with it.
pub(crate) struct Running<M, J> {
    pub(crate) model: Arc<M>,
    room: Arc<Room>,
    jobs: Mutex<Option<mpsc::Sender<J>>>,
    unloading: watch::Sender<bool>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl<M: Described, J: Send + 'static> Running<M, J> {
    /// Start the thread, called `name`, of a model that `places` requests may wait for. `work` runs until its queue is closed, or
    /// until what it watches says that the model is unloaded.
    pub(crate) fn start(
        name: &str,
        model: M,
        room: Room,
        places: usize,
        work: impl FnOnce(Arc<M>, mpsc::Receiver<J>, watch::Receiver<bool>) + Send + 'static,
    ) -> Result<Self, EngineError> {
        let (model, room) = (Arc::new(model), Arc::new(room));
        let (jobs, queue) = mpsc::channel(places);
        let (unloading, unload) = watch::channel(false);
        let (end, ended) = oneshot::channel();
        let (working, held) = (model.clone(), room.clone());
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                work(working, queue, unload);
                drop(held);
                // Nobody need be waiting for the end.
                let _ = end.send(());
            })
            .map_err(|error| ModelError::Compute { reason: format!("no thread for it: {error}") })?;
        Ok(Self { model, room, jobs: Mutex::new(Some(jobs)), unloading, ended: Mutex::new(Some(ended)) })
    }

    /// Queue a job. Its place guarantees room, so a full queue cannot happen.
    pub(crate) fn submit(&self, job: J) -> Result<(), EngineError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = jobs.as_ref().ok_or(EngineError::Unloaded)?;
        jobs.try_send(job).map_err(|_| EngineError::Stopped)
    }
}

impl<M: Described, J: Send + 'static> Served for Running<M, J> {
    type Info = M::Info;

    fn info(&self) -> &M::Info {
        self.model.info()
    }

    fn room(&self) -> &Room {
        &self.room
    }

    fn is_alive(&self) -> bool {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref().is_some_and(|jobs| !jobs.is_closed())
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.unloading.send_replace(true);
        // The thread that waits for a job wakes when there can be none.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            if let Some(ended) = ended {
                // An error means that the thread is gone, which is what is waited for.
                let _ = ended.await;
            }
        }
        .boxed()
    }
}

/// The places of an engine's requests, and its model, loaded on first use.
pub(crate) struct Front<M: Described, J: Send + 'static> {
    places: Arc<Semaphore>,
    /// Requests that run at once.
    concurrent: usize,
    pace: Arc<Pace>,
    loading: Arc<Loading<Running<M, J>>>,
}

impl<M: Described, J: Send + 'static> Front<M, J> {
    /// Room for `places` requests, of which `concurrent` run at once. `load` blocks while it reads, and starts the thread for as many
    /// places as it is told; the pace is what that thread records how long requests take with.
    pub(crate) fn new(
        source: WeightsSource,
        budget: Budget,
        (places, concurrent): (usize, usize),
        load: impl Fn(&Path, &Rooms, usize, &Arc<Pace>) -> Result<Running<M, J>, EngineError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let count = places.clamp(1, Semaphore::MAX_PERMITS);
        let (places, pace) = (Arc::new(Semaphore::new(count)), Arc::new(Pace::default()));
        let recorded = pace.clone();
        let load = move |path: &Path, rooms: &Rooms| load(path, rooms, count, &recorded);
        let loading = Arc::new(Loading::new(source, budget, places.clone(), Box::new(load)));
        Self { places, concurrent, pace, loading }
    }

    /// A place for a request, before anything else is done for it: waiting for a load is bounded by it too.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        let busy = |_| EngineError::Busy { retry_after: self.pace.retry_in(self.concurrent) };
        self.places.clone().try_acquire_owned().map_err(busy)
    }

    pub(crate) fn free_places(&self) -> usize {
        self.places.available_permits()
    }

    /// The model, fetched and loaded first where that has not happened yet.
    pub(crate) async fn running(&self) -> Result<Arc<Running<M, J>>, EngineError> {
        self.loading.running().await
    }

    pub(crate) async fn warm(&self) -> Result<M::Info, EngineError> {
        Ok(self.running().await?.model.info().clone())
    }

    pub(crate) async fn unload(&self) {
        self.loading.unload().await;
    }

    pub(crate) fn state(&self) -> EngineState<M::Info> {
        self.loading.state()
    }
}

impl<M: Described, J: Send + 'static> Clone for Front<M, J> {
    fn clone(&self) -> Self {
        let (places, concurrent) = (self.places.clone(), self.concurrent);
        Self { places, concurrent, pace: self.pace.clone(), loading: self.loading.clone() }
    }
}

impl<M: Described, J: Send + 'static> fmt::Debug for Front<M, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("free_places", &self.free_places())
            .field("loading", &self.loading)
            .finish()
    }
}
