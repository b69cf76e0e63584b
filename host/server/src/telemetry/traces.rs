//! Traces on their way to a collector: gathered in memory, sent by one task. No request waits for it.

mod export;
mod otlp;

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atelier_domain::trace::{EndedSpan, SpanSink};
use prometheus::IntCounter;
use tokio::sync::Notify;

pub(crate) use export::Exporter;

/// What became of spans.
#[derive(Clone, Debug)]
pub(crate) struct SpanCounts {
    /// The collector took them.
    pub exported: IntCounter,
    /// It said that it did not take them.
    pub rejected: IntCounter,
    /// It could not be told.
    pub failed: IntCounter,
    /// There were more than may wait.
    pub dropped: IntCounter,
}

/// Spans that wait to be sent.
#[derive(Debug)]
pub(crate) struct SpanQueue {
    waiting: Mutex<Vec<EndedSpan>>,
    /// There is a batch.
    ready: Notify,
    queue_max: usize,
    batch_max: usize,
    counts: SpanCounts,
}

impl SpanQueue {
    /// An empty one.
    pub(crate) fn new(queue_max: usize, batch_max: usize, counts: SpanCounts) -> Arc<Self> {
        let batch_max = batch_max.min(queue_max);
        Arc::new(Self { waiting: Mutex::default(), ready: Notify::new(), queue_max, batch_max, counts })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<EndedSpan>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest of them, a batch at most.
    fn take(&self) -> Vec<EndedSpan> {
        let mut waiting = self.lock();
        if waiting.len() <= self.batch_max {
            return mem::take(&mut waiting);
        }
        waiting.drain(..self.batch_max).collect()
    }
}

impl SpanSink for SpanQueue {
    fn ended(&self, span: EndedSpan) {
        let mut waiting = self.lock();
        if waiting.len() >= self.queue_max {
            drop(waiting);
            self.counts.dropped.inc();
            return;
        }
        waiting.push(span);
        let is_batch = waiting.len() == self.batch_max;
        drop(waiting);
        if is_batch {
            self.ready.notify_one();
        }
    }
}
