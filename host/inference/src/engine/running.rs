//! A loaded text model and its thread.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

use super::EngineConfig;
use super::worker::{Job, Pace, Worker};
use crate::error::{EngineError, ModelError};
use crate::grammar::Grammars;
use crate::loading::Served;
use crate::model::{ModelInfo, TextModel};
use crate::residency::{Room, Rooms};

/// A loaded model and the thread that runs it.
pub(super) struct Running {
    pub(super) model: Arc<TextModel>,
    room: Arc<Room>,
    pub(super) cache_bytes_max: u64,
    /// Made with the first answer that is to have a fixed form.
    grammars: OnceLock<Grammars>,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    unloading: watch::Sender<bool>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Running {
    /// Load a model, with room for as many whole contexts as run at once or as the memory allows, and start its thread.
    pub(super) fn load(
        path: &std::path::Path,
        config: &Arc<EngineConfig>,
        places: usize,
        pace: &Arc<Pace>,
        rooms: &Rooms,
    ) -> Result<Self, EngineError> {
        let admit = |info: &ModelInfo, needs: crate::planner::Needs| {
            let needed_bytes = needs.whole_bytes();
            let bytes_max = config.memory_bytes_max.min(rooms.budget.bytes_max());
            needs.check(bytes_max)?;
            let contexts = config.concurrent_max.max(1) as u64;
            let wanted = contexts.saturating_mul(info.cache_bytes(info.context_tokens));
            let cache_bytes_max = wanted.min(bytes_max - needed_bytes);
            let room = rooms.take(&needs.with_cache(cache_bytes_max))?;
            Ok::<_, EngineError>((room, cache_bytes_max))
        };
        let (model, (room, cache_bytes_max)) =
            TextModel::load_planned(path, config.precision, config.threads, admit)?;
        let (model, room) = (Arc::new(model), Arc::new(room));
        let (jobs, queue) = mpsc::channel(places);
        let (unloading, unload) = watch::channel(false);
        let (end, ended) = oneshot::channel();
        let worker = Worker::new(model.clone(), config.clone(), pace.clone(), cache_bytes_max, unload);
        let held = room.clone();
        std::thread::Builder::new()
            .name("text-engine".to_owned())
            .spawn(move || {
                worker.run(queue);
                drop(held);
                // Nobody need be waiting for the end.
                let _ = end.send(());
            })
            .map_err(|error| ModelError::Compute { reason: format!("no thread for it: {error}") })?;
        Ok(Self {
            model,
            room,
            cache_bytes_max,
            grammars: OnceLock::new(),
            jobs: Mutex::new(Some(jobs)),
            unloading,
            ended: Mutex::new(Some(ended)),
        })
    }

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
}

impl Served for Running {
    type Info = ModelInfo;

    fn info(&self) -> &ModelInfo {
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
