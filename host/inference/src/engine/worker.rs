//! The thread that computes: admits jobs in order and lets every admitted one advance in turn.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::EngineConfig;
use super::loaded::Loaded;
use super::meter::Meter;
use super::prefixes::Prefixes;
use super::sequence::{Sequence, Step};
use super::turns::Turns;
use crate::error::{EngineError, ModelError};
use crate::generation::GenerationSender;
use crate::kernels::{Kernels, PAGE_TOKENS};
use crate::llama::Llama;
use crate::model::PREFILL_TOKENS_MAX;
use crate::pace::Pace;
use crate::request::ChatRequest;
use crate::sampler::Sampler;

/// How often waiting readers and abandoned jobs are looked at while nothing can be computed.
const IDLE_LOOK: Duration = Duration::from_millis(20);

/// A request ready to run, with the place that it holds until it ends.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) prompt: Vec<u32>,
    pub(super) max_tokens: usize,
    pub(super) cache_bytes: u64,
    pub(super) request: ChatRequest,
    pub(super) sampler: Sampler,
    pub(super) sender: GenerationSender,
    pub(super) place: OwnedSemaphorePermit,
}

pub(super) struct Worker<K: Kernels> {
    model: Arc<Loaded>,
    config: Arc<EngineConfig>,
    pace: Arc<Pace>,
    meter: Arc<Meter>,
    prefixes: Prefixes<K::Page>,
    turns: Turns,
    unload: watch::Receiver<bool>,
    waiting: VecDeque<Job>,
    active: Vec<Sequence<K::Page>>,
    /// Dropped behind the pages of its device.
    llama: Llama<K>,
}

impl<K: Kernels> Worker<K> {
    pub(super) fn new(
        model: Arc<Loaded>,
        llama: Llama<K>,
        config: Arc<EngineConfig>,
        pace: Arc<Pace>,
        meter: Arc<Meter>,
        unload: watch::Receiver<bool>,
    ) -> Self {
        let page_bytes = model.info.cache_bytes_per_page;
        let prefixes = Prefixes::new(page_bytes, config.prefix_bytes_max, model.cache_bytes_max);
        let (waiting, active) = (VecDeque::new(), Vec::new());
        Self { model, config, pace, meter, prefixes, turns: Turns::default(), unload, waiting, active, llama }
    }

    /// Work until the queue is closed and everything admitted has ended, or until the model is unloaded.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        // For timers alone: kernels run beside it, on this thread.
        let timers = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(timers) => timers,
            Err(error) => {
                tracing::error!(%error, "the text engine has no timers and cannot run");
                return;
            }
        };
        loop {
            let mut open = true;
            loop {
                match queue.try_recv() {
                    Ok(job) => self.waiting.push_back(job),
                    Err(mpsc::error::TryRecvError::Empty) => break,
                    Err(mpsc::error::TryRecvError::Disconnected) => {
                        open = false;
                        break;
                    }
                }
            }
            if *self.unload.borrow() {
                return self.end_all(&mut queue);
            }
            self.waiting.retain(|job| !job.sender.is_closed());
            self.admit();
            self.tell();
            if self.active.is_empty() && self.waiting.is_empty() {
                if !open {
                    return;
                }
                match timers.block_on(queue.recv()) {
                    Some(job) => self.waiting.push_back(job),
                    None => continue,
                }
            } else if !self.turn() {
                self.idle(&timers, &mut queue, open);
            }
        }
    }

    /// Admit those whose turn it is, while there are places and memory.
    fn admit(&mut self) {
        while self.active.len() < self.config.concurrent_max.max(1) {
            let waiting = self.waiting.iter().map(|job| job.request.scope);
            let next = self.turns.next(waiting, self.active.iter().map(|sequence| sequence.scope));
            let Some((next, job)) = next.and_then(|next| Some((next, self.waiting.get(next)?))) else {
                return;
            };
            let claimed = self.active.iter().map(|sequence| sequence.claim.bytes).sum();
            let (scope, prompt) = (job.request.scope, &job.prompt);
            let Some((claim, pages)) = self.prefixes.admit(scope, prompt, job.cache_bytes, claimed) else {
                return;
            };
            let Some(job) = self.waiting.remove(next) else { return };
            self.count_reused(pages.len());
            self.active.push(Sequence::start(&self.model, self.llama.shape(), job, claim, pages));
            let (waiting, active) = (&self.waiting, &self.active);
            self.turns.take(scope, |other| {
                active.iter().any(|sequence| sequence.scope == other)
                    || waiting.iter().any(|job| job.request.scope == other)
            });
        }
    }

    fn count_reused(&self, pages: usize) {
        self.meter.change(|load| load.prompt_tokens_reused += (pages * PAGE_TOKENS) as u64);
    }

    /// What others computed since of the prompts that are being read.
    fn follow(&mut self) {
        let pages = self.active.iter_mut().map(|sequence| sequence.follow(&mut self.prefixes)).sum();
        self.count_reused(pages);
    }

    /// Tell who advances and who waits.
    fn tell(&self) {
        self.meter.change(|load| {
            (load.running, load.waiting) = (self.active.len(), self.waiting.len());
            let claimed: u64 = self.active.iter().map(|sequence| sequence.claim.bytes).sum();
            load.prefix_bytes = self.prefixes.kept_bytes();
            load.cache_bytes = claimed + load.prefix_bytes;
            load.cache_bytes_max = self.model.cache_bytes_max;
        });
    }

    /// One pass of the model over every active sequence that can go on; whether any of them got anywhere.
    fn turn(&mut self) -> bool {
        let before = self.active.len();
        for mut sequence in std::mem::take(&mut self.active) {
            let step = sequence.prepare();
            self.keep(sequence, Ok(step));
        }
        let ended = before - self.active.len();
        self.follow();
        // Stalled ones wait for their readers; of the others, each has one token or a piece of its prompt.
        let mut room = PREFILL_TOKENS_MAX;
        let mut parts = Vec::new();
        for (index, sequence) in self.active.iter().enumerate().filter(|(_, sequence)| !sequence.is_stalled())
        {
            let count = match sequence.unseen() {
                1 => 1,
                unseen => unseen.min(room),
            };
            if count > 0 {
                room = room.saturating_sub(count);
                parts.push((index, count));
            }
        }
        if parts.is_empty() {
            return ended > 0;
        }
        let started = Instant::now();
        let outcome = self.pass(&parts);
        self.count(&parts, started.elapsed());
        let mut parts = parts.into_iter().peekable();
        let mut rows = outcome.as_deref().unwrap_or_default().chunks_exact(self.llama.shape().vocabulary);
        for (index, mut sequence) in std::mem::take(&mut self.active).into_iter().enumerate() {
            if parts.next_if(|(part, _)| *part == index).is_none() {
                self.active.push(sequence);
                continue;
            }
            let step = match &outcome {
                Ok(_) => {
                    let scores = if sequence.unseen() == 0 { rows.next() } else { None };
                    sequence.share(&mut self.prefixes);
                    sequence.advance(scores)
                }
                Err(reason) => Err(ModelError::Compute { reason: reason.clone() }),
            };
            self.keep(sequence, step);
        }
        true
    }

    /// Count a pass.
    fn count(&self, parts: &[(usize, usize)], took: Duration) {
        let of = |index: usize| self.active.get(index);
        let prompts =
            parts.iter().filter(|(index, _)| of(*index).is_some_and(|sequence| !sequence.is_answering()));
        let prompt_tokens: usize = prompts.map(|(_, count)| count).sum();
        let scored =
            parts.iter().filter(|(index, _)| of(*index).is_some_and(|sequence| sequence.unseen() == 0));
        let answer_tokens = scored.count();
        self.meter.change(|load| {
            load.passes += 1;
            load.pass_time += took;
            load.parts += parts.len() as u64;
            load.prompt_tokens += prompt_tokens as u64;
            load.answer_tokens += answer_tokens as u64;
        });
    }

    /// The scores of the parts that reach the end of what their sequences have, or why there are none. A panic in a kernel
    /// costs the requests of this pass, not the engine: their caches are dropped with them.
    fn pass(&mut self, parts: &[(usize, usize)]) -> Result<Vec<f32>, String> {
        let mut wanted = parts.iter().copied().peekable();
        let mut batch: Vec<_> = self
            .active
            .iter_mut()
            .enumerate()
            .filter_map(|(index, sequence)| {
                let (_, count) = wanted.next_if(|(part, _)| *part == index)?;
                Some(sequence.slice(count))
            })
            .collect();
        match catch_unwind(AssertUnwindSafe(|| self.llama.forward(&mut batch))) {
            Ok(Ok(scores)) => Ok(scores),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("a kernel panicked".to_owned()),
        }
    }

    /// Keep a sequence that goes on; end one that does not.
    fn keep(&mut self, sequence: Sequence<K::Page>, step: Result<Step, ModelError>) {
        match step {
            Ok(Step::Advanced) => self.active.push(sequence),
            Ok(Step::Stalled(since)) if since.elapsed() < self.config.reader_stall_max => {
                self.active.push(sequence);
            }
            Ok(Step::Stalled(since)) => {
                sequence.fail(EngineError::ReaderStalled { waited: since.elapsed() });
            }
            Ok(Step::Ended) => self.pace.record(sequence.started.elapsed()),
            Err(error) => {
                tracing::error!(%error, "a generation failed");
                sequence.fail(error.into());
            }
        }
    }

    /// All readers are slow: wait for a new job, an unload, or a little time.
    fn idle(&mut self, timers: &Runtime, queue: &mut mpsc::Receiver<Job>, open: bool) {
        let until = Instant::now() + IDLE_LOOK;
        let (unload, waiting) = (&mut self.unload, &mut self.waiting);
        timers.block_on(async {
            tokio::select! {
                job = queue.recv(), if open => waiting.extend(job),
                _ = unload.changed() => {}
                () = tokio::time::sleep_until(until.into()) => {}
            }
        });
    }

    /// Unloaded: everyone who runs or waits is told.
    fn end_all(mut self, queue: &mut mpsc::Receiver<Job>) {
        self.meter.change(|load| {
            (load.running, load.waiting, load.cache_bytes, load.cache_bytes_max) = (0, 0, 0, 0);
        });
        queue.close();
        while let Ok(job) = queue.try_recv() {
            self.waiting.push_back(job);
        }
        for job in self.waiting {
            job.sender.fail(EngineError::Unloaded);
        }
        for sequence in self.active {
            sequence.fail(EngineError::Unloaded);
        }
    }
}
