//! Fetching, loading and unloading, shared by everyone who uses the engine.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::{mpsc, oneshot, watch};

use super::worker::{Job, Pace, Worker};
use super::{EngineConfig, EngineState, WeightsSource};
use crate::error::{EngineError, ModelError};
use crate::grammar::Grammars;
use crate::model::TextModel;
use crate::weights;

/// After a failure, callers get the same error for this long instead of another attempt.
const RETRY_AFTER: Duration = Duration::from_secs(5);

type SharedLoad = Shared<BoxFuture<'static, Result<Arc<Running>, EngineError>>>;

pub(super) struct Lifecycle {
    source: WeightsSource,
    config: Arc<EngineConfig>,
    places: usize,
    pace: Arc<Pace>,
    slot: Mutex<Slot>,
    state: watch::Sender<EngineState>,
}

enum Slot {
    Empty,
    Loading(SharedLoad),
    Loaded(Arc<Running>),
    Failed { error: EngineError, at: Instant },
}

/// A loaded model and the thread that runs it.
pub(super) struct Running {
    pub(super) model: Arc<TextModel>,
    pub(super) cache_bytes_max: u64,
    /// Made with the first answer that is to have a fixed form.
    grammars: OnceLock<Grammars>,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    unloading: watch::Sender<bool>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Running {
    /// Queue a job. Its place guarantees room, so a full queue cannot happen.
    pub(super) fn submit(&self, job: Job) -> Result<(), EngineError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = jobs.as_ref().ok_or(EngineError::Unloaded)?;
        jobs.try_send(job).map_err(|_| EngineError::Stopped)
    }

    /// Grammars for the model's vocabulary. Blocks while they are made.
    pub(super) fn grammars(&self) -> Result<&Grammars, ModelError> {
        if let Some(grammars) = self.grammars.get() {
            return Ok(grammars);
        }
        let made = Grammars::new(self.model.tokenizer())?;
        Ok(self.grammars.get_or_init(|| made))
    }

    fn is_alive(&self) -> bool {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref().is_some_and(|jobs| !jobs.is_closed())
    }

    /// End all generations and wait for the thread.
    async fn stop(&self) {
        self.unloading.send_replace(true);
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            // An error means that the thread is gone, which is what is waited for.
            let _ = ended.await;
        }
    }
}

impl Lifecycle {
    pub(super) fn new(
        source: WeightsSource,
        config: Arc<EngineConfig>,
        places: usize,
        pace: Arc<Pace>,
    ) -> Self {
        let state = watch::Sender::new(at_rest(&source));
        Self { source, config, places, pace, slot: Mutex::new(Slot::Empty), state }
    }

    pub(super) fn state(&self) -> EngineState {
        self.state.borrow().clone()
    }

    /// The loaded model; loads it where needed.
    pub(super) async fn running(self: &Arc<Self>) -> Result<Arc<Running>, EngineError> {
        let load = {
            let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
            match &*slot {
                Slot::Loaded(running) if running.is_alive() => return Ok(running.clone()),
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
    fn begin(self: &Arc<Self>) -> SharedLoad {
        let lifecycle = self.clone();
        let task = tokio::spawn(async move {
            let loader = lifecycle.clone();
            let outcome = tokio::task::spawn_blocking(move || loader.load()).await;
            let outcome = outcome.unwrap_or(Err(EngineError::Stopped)).map(Arc::new);
            lifecycle.settle(&outcome);
            outcome
        });
        async move { task.await.unwrap_or(Err(EngineError::Stopped)) }.boxed().shared()
    }

    /// Record how a load ended. The slot and the state change together.
    fn settle(&self, outcome: &Result<Arc<Running>, EngineError>) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(running) => {
                tracing::info!(model = running.model.info().name, "text model loaded");
                *slot = Slot::Loaded(running.clone());
                self.state.send_replace(EngineState::Ready(running.model.info().clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "text model could not be loaded");
                *slot = Slot::Failed { error: error.clone(), at: Instant::now() };
                self.state.send_replace(EngineState::Failed { reason: error.to_string() });
            }
        }
    }

    fn load(&self) -> Result<Running, EngineError> {
        let path = match &self.source {
            WeightsSource::File(path) => path.clone(),
            WeightsSource::Published { source, cache_dir } => {
                weights::fetch(source, cache_dir, |progress| {
                    self.state.send_replace(EngineState::Fetching(progress));
                })?
            }
        };
        self.state.send_replace(EngineState::Loading);
        let memory_bytes_max = self.config.memory_bytes_max;
        let model = Arc::new(TextModel::load_within(
            &path,
            self.config.precision,
            self.config.threads,
            memory_bytes_max,
        )?);
        let cache_bytes_max = memory_bytes_max - model.info().memory_bytes;
        let (jobs, queue) = mpsc::channel(self.places);
        let (unloading, unload) = watch::channel(false);
        let (end, ended) = oneshot::channel();
        let worker =
            Worker::new(model.clone(), self.config.clone(), self.pace.clone(), cache_bytes_max, unload);
        std::thread::Builder::new()
            .name("text-engine".to_owned())
            .spawn(move || {
                worker.run(queue);
                // Nobody need be waiting for the end.
                let _ = end.send(());
            })
            .map_err(|error| ModelError::Compute { reason: format!("no thread for it: {error}") })?;
        Ok(Running {
            model,
            cache_bytes_max,
            grammars: OnceLock::new(),
            jobs: Mutex::new(Some(jobs)),
            unloading,
            ended: Mutex::new(Some(ended)),
        })
    }

    pub(super) async fn unload(&self) {
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

/// The state before a first load and after an unload.
fn at_rest(source: &WeightsSource) -> EngineState {
    match source {
        WeightsSource::Published { source, cache_dir } if !source.is_fetched(cache_dir) => {
            EngineState::NotFetched
        }
        _ => EngineState::Unloaded,
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle").field("source", &self.source).field("state", &self.state()).finish()
    }
}
