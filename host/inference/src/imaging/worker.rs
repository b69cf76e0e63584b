//! The thread that computes: one picture after another, piece by piece.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::PiecesDone;
use super::model::{ImageModel, ImageRequest};
use crate::error::{EngineError, ModelError};
use crate::pace::Pace;
use crate::picture::Picture;

/// A request ready to run, with the place that it holds until it ends.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: ImageRequest,
    pub(super) answer: oneshot::Sender<Result<Picture, EngineError>>,
    pub(super) progress: watch::Sender<PiecesDone>,
    pub(super) place: OwnedSemaphorePermit,
}

pub(super) struct Worker {
    model: Arc<ImageModel>,
    pace: Arc<Pace>,
    unload: watch::Receiver<bool>,
}

impl Worker {
    pub(super) fn new(model: Arc<ImageModel>, pace: Arc<Pace>, unload: watch::Receiver<bool>) -> Self {
        Self { model, pace, unload }
    }

    /// Work until the queue is closed and everything admitted has ended; once unloading, everything ends at once.
    pub(super) fn run(self, mut queue: mpsc::Receiver<Job>) {
        while let Some(job) = queue.blocking_recv() {
            let started = Instant::now();
            // A panic in a kernel costs this request, not the engine: a piece leaves nothing behind.
            let outcome = catch_unwind(AssertUnwindSafe(|| self.make(&job))).unwrap_or_else(|_| {
                Err(ModelError::Compute { reason: "a kernel panicked".to_owned() }.into())
            });
            match &outcome {
                Ok(Some(_)) => self.pace.record(started.elapsed()),
                Err(EngineError::Unloaded) | Ok(None) => {}
                Err(error) => tracing::error!(%error, "a picture could not be made"),
            }
            let Job { request, answer, progress, place } = job;
            drop((request, progress));
            if let Some(outcome) = outcome.transpose() {
                // The caller may have left meanwhile.
                let _ = answer.send(outcome);
            }
            drop(place);
        }
    }

    /// The picture; none where nobody waits for it any more.
    fn make(&self, job: &Job) -> Result<Option<Picture>, EngineError> {
        let made = self.model.make(&job.request, |done, total| {
            job.progress.send_replace(PiecesDone { done, total });
            if *self.unload.borrow() {
                return Err(EngineError::Unloaded);
            }
            Ok(!job.answer.is_closed())
        })?;
        if made.is_some() {
            job.progress.send_modify(|pieces| pieces.done = pieces.total);
        }
        Ok(made)
    }
}
