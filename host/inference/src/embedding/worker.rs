//! The thread that computes: fills packs with the texts of all waiting requests in turn.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use crate::bert::BertModel;
use crate::error::{EngineError, ModelError};
use crate::pace::Pace;

/// Tokens of a pack, beyond its first text: bounds a step's time and its working memory.
pub(super) const PACK_TOKENS: usize = 512;

pub(super) type Answer = Result<Vec<Vec<f32>>, EngineError>;

/// A request ready to run, with the place that it holds until it ends.
#[derive(Debug)]
pub(super) struct Job {
    /// Tokens of each text, marks included.
    pub(super) texts: Vec<Vec<u32>>,
    pub(super) answer: oneshot::Sender<Answer>,
    pub(super) place: OwnedSemaphorePermit,
}

/// A request whose first texts have their vectors.
struct Active {
    job: Job,
    /// Those of the first texts.
    vectors: Vec<Vec<f32>>,
    /// Texts that are in the pack being filled.
    packed: usize,
    started: Instant,
}

impl Active {
    fn next(&self) -> Option<&[u32]> {
        self.job.texts.get(self.vectors.len() + self.packed).map(Vec::as_slice)
    }

    fn is_done(&self) -> bool {
        self.vectors.len() == self.job.texts.len()
    }

    fn end(self, answer: Answer) {
        // The caller may have left meanwhile.
        let _ = self.job.answer.send(answer);
        drop(self.job.place);
    }
}

pub(super) struct Worker {
    model: Arc<BertModel>,
    pace: Arc<Pace>,
    unload: watch::Receiver<bool>,
    active: VecDeque<Active>,
}

impl Worker {
    pub(super) fn new(model: Arc<BertModel>, pace: Arc<Pace>, unload: watch::Receiver<bool>) -> Self {
        Self { model, pace, unload, active: VecDeque::new() }
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
            // Whoever left frees the place, before its texts cost anything more.
            self.active.retain(|active| !active.job.answer.is_closed());
            if self.active.is_empty() {
                match queue.blocking_recv() {
                    Some(job) => self.admit(job),
                    None => return,
                }
            } else {
                self.step();
            }
        }
    }

    fn admit(&mut self, job: Job) {
        self.active.push_back(Active { job, vectors: Vec::new(), packed: 0, started: Instant::now() });
    }

    /// Compute one pack, and answer whoever has all vectors by it.
    fn step(&mut self) {
        let order = self.pack();
        let mut taken = vec![0; self.active.len()];
        let texts: Vec<&[u32]> = order
            .iter()
            .map(|&index| {
                let Active { job, vectors, .. } = &self.active[index];
                taken[index] += 1;
                job.texts[vectors.len() + taken[index] - 1].as_slice()
            })
            .collect();
        // A panic in a kernel costs these requests, not the engine: a pack leaves nothing behind.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.model.embed(&texts)));
        let error = match outcome {
            Ok(Ok(vectors)) => {
                for (index, vector) in order.into_iter().zip(vectors) {
                    let active = &mut self.active[index];
                    active.vectors.push(vector);
                    active.packed -= 1;
                }
                None
            }
            Ok(Err(error)) => Some(error),
            Err(_) => Some(ModelError::Compute { reason: "a kernel panicked".to_owned() }),
        };
        let error = error.map(EngineError::from);
        if let Some(error) = &error {
            tracing::error!(%error, "embedding failed");
        }
        for mut active in std::mem::take(&mut self.active) {
            match &error {
                Some(error) if active.packed > 0 => active.end(Err(error.clone())),
                _ if active.is_done() => {
                    self.pace.record(active.started.elapsed());
                    let vectors = std::mem::take(&mut active.vectors);
                    active.end(Ok(vectors));
                }
                _ => self.active.push_back(active),
            }
        }
        // The next pack begins with another request.
        if self.active.len() > 1 {
            self.active.rotate_left(1);
        }
    }

    /// Choose texts, one of each request in turn, and give the requests in the order of their texts.
    fn pack(&mut self) -> Vec<usize> {
        let mut order = Vec::new();
        let mut tokens = 0;
        loop {
            let before = order.len();
            for (index, active) in self.active.iter_mut().enumerate() {
                let Some(text) = active.next() else { continue };
                if !order.is_empty() && tokens + text.len() > PACK_TOKENS {
                    return order;
                }
                tokens += text.len();
                active.packed += 1;
                order.push(index);
            }
            if order.len() == before {
                return order;
            }
        }
    }

    /// Unloaded: everyone who runs or waits is told.
    fn end_all(mut self, queue: &mut mpsc::Receiver<Job>) {
        queue.close();
        while let Ok(job) = queue.try_recv() {
            self.admit(job);
        }
        for active in self.active {
            active.end(Err(EngineError::Unloaded));
        }
    }
}
