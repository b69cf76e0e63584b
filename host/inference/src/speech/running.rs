//! A loaded voice and its thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::SynthesizerConfig;
use super::worker::{Job, Worker};
use crate::engine::Pace;
use crate::error::{EngineError, ModelError};
use crate::loading::Served;
use crate::piper::{PiperInfo, PiperModel};
use crate::residency::Room;

pub(super) struct Running {
    pub(super) model: Arc<PiperModel>,
    room: Arc<Room>,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    unloading: Arc<AtomicBool>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Running {
    /// Start the thread of a model that this many requests may wait for.
    pub(super) fn start(
        model: PiperModel,
        room: Room,
        places: usize,
        config: Arc<SynthesizerConfig>,
        pace: Arc<Pace>,
    ) -> Result<Self, EngineError> {
        let room = Arc::new(room);
        let held = room.clone();
        let model = Arc::new(model);
        let (jobs, queue) = mpsc::channel(places);
        let (end, ended) = oneshot::channel();
        let unloading = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            model: model.clone(),
            config,
            pace,
            unloading: unloading.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        std::thread::Builder::new()
            .name("voice".to_owned())
            .spawn(move || {
                worker.run(queue);
                drop(held);
                // Nobody need be waiting for the end.
                let _ = end.send(());
            })
            .map_err(|error| ModelError::Compute { reason: format!("no thread for it: {error}") })?;
        Ok(Self { model, room, jobs: Mutex::new(Some(jobs)), unloading, ended: Mutex::new(Some(ended)) })
    }

    /// Queue a job. Its place guarantees room, so a full queue cannot happen.
    pub(super) fn submit(&self, job: Job) -> Result<(), EngineError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = jobs.as_ref().ok_or(EngineError::Unloaded)?;
        jobs.try_send(job).map_err(|_| EngineError::Stopped)
    }
}

impl Served for Running {
    type Info = PiperInfo;

    fn info(&self) -> &PiperInfo {
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
        self.unloading.store(true, Ordering::Release);
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
