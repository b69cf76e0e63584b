//! `[batches]`: how many requests of batches run beside others.

use std::time::Duration;

use atelier_service::batches::BatchLimits;

use super::Section;

/// Bounds of batches, whose requests are waited for as long as others when the server stops.
pub(super) fn read(section: &mut Section, drain_max: Duration) -> BatchLimits {
    let usual = BatchLimits::default();
    let mut number = |key, usual: usize, max| section.number(key, usual as u64, 1..=max) as usize;
    BatchLimits {
        running_max: number("running", usual.running_max, 4096),
        running_per_batch_max: number("running_per_batch", usual.running_per_batch_max, 4096),
        open_per_user_max: number("open_per_user", usual.open_per_user_max, 1_000),
        open_max: number("open", usual.open_max, 65_536),
        drain_max,
    }
}
