//! How long requests of an engine take, for telling callers when to come again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// How long requests took lately.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    recent_ms: AtomicU64,
}

impl Pace {
    /// A weighted mean: the newest request counts a quarter. Written by the worker alone.
    pub(crate) fn record(&self, took: Duration) {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX / 8).min(u64::MAX / 8);
        let before = self.recent_ms.load(Ordering::Relaxed);
        let mean = if before == 0 { took_ms } else { (before * 3 + took_ms) / 4 };
        self.recent_ms.store(mean.max(1), Ordering::Relaxed);
    }

    /// When a place is likely to be free where so many requests run at once: places free at this pace, one after another.
    pub(crate) fn retry_in(&self, concurrent: usize) -> Duration {
        let recent = Duration::from_millis(self.recent_ms.load(Ordering::Relaxed));
        let between = recent / u32::try_from(concurrent.max(1)).unwrap_or(u32::MAX);
        between.clamp(RETRY_MIN, RETRY_MAX)
    }
}
