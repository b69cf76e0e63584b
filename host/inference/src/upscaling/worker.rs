//! The thread that computes: one picture after another, tile by tile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::TilesDone;
use crate::error::{EngineError, ModelError};
use crate::esrgan::EsrganModel;
use crate::pace::Pace;
use crate::picture::Picture;

/// A request ready to run, with the place that it holds until it ends.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) picture: Picture,
    pub(super) answer: oneshot::Sender<Result<Picture, EngineError>>,
    pub(super) progress: watch::Sender<TilesDone>,
    pub(super) place: OwnedSemaphorePermit,
}

pub(super) struct Worker {
    model: Arc<EsrganModel>,
    pace: Arc<Pace>,
    unload: watch::Receiver<bool>,
}

impl Worker {
    pub(super) fn new(model: Arc<EsrganModel>, pace: Arc<Pace>, unload: watch::Receiver<bool>) -> Self {
        Self { model, pace, unload }
    }

    /// Work until the queue is closed and everything admitted has ended; once unloading, everything ends at once.
    pub(super) fn run(self, mut queue: mpsc::Receiver<Job>) {
        while let Some(job) = queue.blocking_recv() {
            let started = Instant::now();
            // A panic in a kernel costs this request, not the engine: a tile leaves nothing behind.
            let outcome = catch_unwind(AssertUnwindSafe(|| self.upscale(&job))).unwrap_or_else(|_| {
                Err(ModelError::Compute { reason: "a kernel panicked".to_owned() }.into())
            });
            match &outcome {
                Ok(Some(_)) => self.pace.record(started.elapsed()),
                Err(EngineError::Unloaded) | Ok(None) => {}
                Err(error) => tracing::error!(%error, "upscaling failed"),
            }
            let Job { picture, answer, progress, place } = job;
            drop((picture, progress));
            if let Some(outcome) = outcome.transpose() {
                // The caller may have left meanwhile.
                let _ = answer.send(outcome);
            }
            drop(place);
        }
    }

    /// The larger picture; none where nobody waits for it any more.
    fn upscale(&self, job: &Job) -> Result<Option<Picture>, EngineError> {
        if *self.unload.borrow() {
            return Err(EngineError::Unloaded);
        }
        if job.answer.is_closed() {
            return Ok(None);
        }
        let tiles = self.model.tiles(&job.picture);
        let mut out = self.model.begin(&job.picture);
        for (done, tile) in tiles.iter().enumerate() {
            job.progress.send_replace(TilesDone { done, total: tiles.len() });
            if *self.unload.borrow() {
                return Err(EngineError::Unloaded);
            }
            if job.answer.is_closed() {
                return Ok(None);
            }
            self.model.compute(&job.picture, *tile, &mut out)?;
        }
        job.progress.send_replace(TilesDone { done: tiles.len(), total: tiles.len() });
        Ok(Some(out))
    }
}
