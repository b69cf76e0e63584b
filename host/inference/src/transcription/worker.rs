//! The thread that computes: a window of each recording in turn.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::TranscriberConfig;
use crate::error::{EngineError, ModelError};
use crate::pace::Pace;
use crate::whisper::{Heard, Manner, Session, Sound, WhisperModel};

/// How often readers are looked at while all of them are slow.
const IDLE_LOOK: Duration = Duration::from_millis(20);

/// How far a recording has come.
#[derive(Debug)]
pub(super) enum Progress {
    Heard(Heard),
    Ended,
}

type Events = mpsc::Sender<Result<Progress, EngineError>>;

/// A request ready to run, with the place that it holds until it ends.
pub(super) struct Job {
    pub(super) sound: Box<dyn Sound>,
    pub(super) manner: Manner,
    pub(super) events: Events,
    pub(super) place: OwnedSemaphorePermit,
}

/// A recording that was begun.
struct Active {
    session: Session,
    events: Events,
    place: OwnedSemaphorePermit,
    started: Instant,
    /// Since when its reader has left no room.
    stalled: Option<Instant>,
}

impl Active {
    fn end(self, outcome: Result<Progress, EngineError>) {
        // There is room for it; the reader may have left meanwhile.
        let _ = self.events.try_send(outcome);
        drop(self.place);
    }
}

pub(super) struct Worker {
    model: Arc<WhisperModel>,
    config: Arc<TranscriberConfig>,
    pace: Arc<Pace>,
    unload: watch::Receiver<bool>,
    active: VecDeque<Active>,
}

impl Worker {
    pub(super) fn new(
        model: Arc<WhisperModel>,
        config: Arc<TranscriberConfig>,
        pace: Arc<Pace>,
        unload: watch::Receiver<bool>,
    ) -> Self {
        Self { model, config, pace, unload, active: VecDeque::new() }
    }

    /// Work until the queue is closed and everything admitted has ended, or until the model is unloaded.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        loop {
            while let Ok(job) = queue.try_recv() {
                self.admit(job);
            }
            if *self.unload.borrow() {
                return self.end_all(&mut queue);
            }
            if self.active.is_empty() {
                match queue.blocking_recv() {
                    Some(job) => self.admit(job),
                    None => return,
                }
            } else if !self.turn() {
                thread::sleep(IDLE_LOOK);
            }
        }
    }

    fn admit(&mut self, job: Job) {
        let Job { sound, manner, events, place } = job;
        match Session::new(&self.model, sound, manner, self.config.seconds_max) {
            Ok(session) => {
                let started = Instant::now();
                self.active.push_back(Active { session, events, place, started, stalled: None });
            }
            Err(error) => {
                tracing::error!(%error, "a transcription could not begin");
                let _ = events.try_send(Err(error.into()));
            }
        }
    }

    /// The next window of the first recording whose reader can take it; whether there was one.
    fn turn(&mut self) -> bool {
        for _ in 0..self.active.len() {
            let Some(mut one) = self.active.pop_front() else { break };
            if one.events.is_closed() {
                continue;
            }
            // The last place is for how it ends.
            if one.events.capacity() > 1 {
                one.stalled = None;
                self.step(one);
                return true;
            }
            let since = *one.stalled.get_or_insert_with(Instant::now);
            match since.elapsed() {
                waited if waited >= self.config.reader_stall_max => {
                    one.end(Err(EngineError::ReaderStalled { waited }));
                }
                _ => self.active.push_back(one),
            }
        }
        false
    }

    fn step(&mut self, mut one: Active) {
        let (model, unload, events) = (&self.model, &self.unload, &one.events);
        let left = || events.is_closed() || *unload.borrow();
        let session = &mut one.session;
        // A panic, in a kernel or in whatever reads the recording, costs this request, not the engine.
        let outcome = catch_unwind(AssertUnwindSafe(|| session.step(model, &left)));
        let outcome = outcome.unwrap_or_else(|_| {
            Err(ModelError::Compute { reason: "it panicked while a window was heard".to_owned() }.into())
        });
        match outcome {
            Ok(Some(heard)) => {
                // There is room: the capacity was looked at.
                let _ = one.events.try_send(Ok(Progress::Heard(heard)));
                self.active.push_back(one);
            }
            Ok(None) if *self.unload.borrow() => one.end(Err(EngineError::Unloaded)),
            Ok(None) => {
                self.pace.record(one.started.elapsed());
                one.end(Ok(Progress::Ended));
            }
            Err(error) => {
                if !matches!(error, EngineError::InvalidRequest { .. }) {
                    tracing::error!(%error, "a transcription failed");
                }
                one.end(Err(error));
            }
        }
    }

    /// Unloaded: everyone who runs or waits is told.
    fn end_all(mut self, queue: &mut mpsc::Receiver<Job>) {
        queue.close();
        while let Ok(job) = queue.try_recv() {
            let _ = job.events.try_send(Err(EngineError::Unloaded));
        }
        for one in std::mem::take(&mut self.active) {
            one.end(Err(EngineError::Unloaded));
        }
    }
}
