//! What became of attempts, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use atelier_domain::time::Timestamp;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint took it.
    Delivered,
    /// It will be tried again.
    Retried,
    /// It was the last attempt.
    GivenUp,
    /// Its endpoint is disabled or gone: nothing was sent.
    Withheld,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 4] = [Outcome::Delivered, Outcome::Retried, Outcome::GivenUp, Outcome::Withheld];

    /// The word in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::GivenUp => "given_up",
            Self::Withheld => "withheld",
        }
    }
}

/// Counts of all endpoints together.
#[derive(Debug, Default)]
pub struct Counts {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    disabled: AtomicU64,
    skipped: AtomicU64,
    /// When the oldest pending delivery was made; 0 while none is.
    oldest: AtomicU64,
}

impl Counts {
    pub(super) fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn endpoint_disabled(&self) {
        self.disabled.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn skipped(&self, deliveries: usize) {
        self.skipped.fetch_add(deliveries as u64, Ordering::Relaxed);
    }

    pub(super) fn oldest_is(&self, made: Option<Timestamp>) {
        self.oldest.store(made.map_or(0, |made| made.0), Ordering::Relaxed);
    }

    /// Attempts that ended so.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize].load(Ordering::Relaxed)
    }

    /// Endpoints that were disabled because they failed or were gone.
    pub fn disabled(&self) -> u64 {
        self.disabled.load(Ordering::Relaxed)
    }

    /// Old deliveries that sweeps could not remove, and left.
    pub fn left_by_sweeps(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// When the oldest pending delivery was made, as of the last look.
    pub fn oldest(&self) -> Option<Timestamp> {
        let made = self.oldest.load(Ordering::Relaxed);
        (made > 0).then_some(Timestamp(made))
    }
}
