//! Errors on their way to whoever is told of them: what the log says at its level `error`, gathered in memory, sent by one task. Nobody
//! waits for it, and it never reports itself.

mod envelope;
mod layer;
mod limits;
mod panics;
mod send;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use atelier_domain::time::Timestamp;
use prometheus::{IntCounter, IntCounterVec, Opts};
use tokio::sync::Notify;

pub(super) use layer::ErrorLayer;
pub(super) use panics::log_panics;
pub(crate) use send::Reporter;

use crate::config::Errors;

const MINUTE: Duration = Duration::from_secs(60);

/// What became of reports.
#[derive(Clone, Debug)]
pub(crate) struct ErrorCounts {
    /// The receiver took them.
    pub reported: IntCounter,
    /// It refused them, or had said that it takes none for a while.
    pub refused: IntCounter,
    /// It could not be told.
    pub failed: IntCounter,
    /// There were more than may wait, or than a minute may have.
    pub dropped: IntCounter,
    /// All of them, to be registered.
    pub family: IntCounterVec,
}

impl ErrorCounts {
    /// All at zero.
    ///
    /// # Errors
    /// The metric has no good name: a bug of ours.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let help = "Reports of errors: taken by the receiver, refused by it, lost since it could not be told, dropped since there were too many.";
        let family = IntCounterVec::new(Opts::new("atelier_error_reports_total", help), &["outcome"])?;
        let outcome = |word| family.with_label_values(&[word]);
        Ok(Self {
            reported: outcome("reported"),
            refused: outcome("refused"),
            failed: outcome("failed"),
            dropped: outcome("dropped"),
            family,
        })
    }
}

/// One line of the log, in parts.
#[derive(Clone, Debug)]
struct ErrorReport {
    /// The receiver knows a report that comes twice by it.
    id: uuid::Uuid,
    time: Timestamp,
    /// Who says it: a module of ours, or the hook of panics.
    target: &'static str,
    /// The source file and line that say it.
    place: Option<(&'static str, u32)>,
    message: String,
    fields: Vec<(&'static str, String)>,
}

/// Reports that wait to be sent.
#[derive(Debug)]
pub(crate) struct ErrorQueue {
    waiting: Mutex<Waiting>,
    /// There is something to send.
    ready: Notify,
    config: Errors,
    pub(crate) counts: ErrorCounts,
}

#[derive(Debug)]
struct Waiting {
    reports: VecDeque<ErrorReport>,
    /// When the minute began, and what it has had.
    minute: (Instant, u32),
}

impl ErrorQueue {
    /// An empty one.
    pub(crate) fn new(config: Errors, counts: ErrorCounts) -> Arc<Self> {
        let waiting = Waiting { reports: VecDeque::new(), minute: (Instant::now(), 0) };
        Arc::new(Self { waiting: Mutex::new(waiting), ready: Notify::new(), config, counts })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, report: ErrorReport, now: Instant) {
        let mut waiting = self.lock();
        if now.saturating_duration_since(waiting.minute.0) >= MINUTE {
            waiting.minute = (now, 0);
        }
        if waiting.reports.len() >= self.config.queue_max || waiting.minute.1 >= self.config.per_minute_max {
            drop(waiting);
            self.counts.dropped.inc();
            return;
        }
        waiting.minute.1 += 1;
        waiting.reports.push_back(report);
        drop(waiting);
        self.ready.notify_one();
    }

    fn take(&self) -> Option<ErrorReport> {
        self.lock().reports.pop_front()
    }
}

#[cfg(test)]
mod tests;
