//! A clock that tests set.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atelier_domain::time::{Clock, Timestamp};

/// When every suite begins: 2026-01-01T00:00:00Z, in milliseconds since 1970.
pub const BEGINNING: Timestamp = Timestamp(1_767_225_600_000);

/// Begins at [`BEGINNING`] and moves by one millisecond each time it is read, so that a guest which waits by looking at the clock
/// comes to an end, and two runs see the same times.
#[derive(Debug, Default)]
pub struct TestClock {
    passed_ms: AtomicU64,
}

impl TestClock {
    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.passed_ms.fetch_add(ms, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.passed_ms.fetch_add(1, Ordering::Relaxed)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(BEGINNING.0.saturating_add(self.read()))
    }

    fn monotonic_ms(&self) -> u64 {
        self.read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_when_it_is_read_and_when_it_is_told_to() {
        let clock = TestClock::default();
        assert_eq!(clock.now(), BEGINNING);
        clock.advance(Duration::from_secs(60));
        assert_eq!(clock.now().0, BEGINNING.0 + 60_001);
    }
}
