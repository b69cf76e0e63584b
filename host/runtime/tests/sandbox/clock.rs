//! A clock that tests move.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atelier_domain::time::{Clock, Timestamp};

/// A clock that stands until it is moved.
#[derive(Debug, Default)]
pub struct StoppedClock(AtomicU64);

impl StoppedClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).expect("a test's time"), Ordering::Relaxed);
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.monotonic_ms())
    }
    fn monotonic_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
