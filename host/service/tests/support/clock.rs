//! A clock that a test sets.

use std::sync::atomic::{AtomicU64, Ordering};

use atelier_domain::time::{Clock, Timestamp};

#[derive(Debug)]
pub struct TestClock(pub AtomicU64);

impl TestClock {
    pub fn pass_seconds(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
    fn monotonic_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
