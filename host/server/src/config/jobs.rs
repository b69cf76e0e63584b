//! `[jobs]`: how many jobs wait and run.

use std::time::Duration;

use atelier_service::jobs::{JobLimits, QueueLimits};

use super::Section;

const LATE_SECONDS: u64 = 60;

/// Bounds of the job engine.
#[derive(Clone, Copy, Debug)]
pub struct Jobs {
    /// Jobs that take a step at once.
    pub workers_max: usize,
    pub queue: QueueLimits,
    /// The server is not ready while a job waits for a worker for longer. `None`: whatever they wait.
    pub late: Option<Duration>,
}

impl Jobs {
    pub(super) fn read(section: &mut Section) -> Self {
        let JobLimits { workers_max, queue, .. } = JobLimits::default();
        let mut number = |key, usual: usize, max| section.number(key, usual as u64, 1..=max) as usize;
        let jobs = Self {
            late: None,
            workers_max: number("workers", workers_max, 4096),
            queue: QueueLimits {
                open_max: number("queued", queue.open_max, 65_536),
                open_per_user_max: number("queued_per_user", queue.open_per_user_max, 65_536),
                begun_per_user_max: number("running_per_user", queue.begun_per_user_max, 65_536),
                begun_per_instance_max: number("running_per_instance", queue.begun_per_instance_max, 65_536),
            },
        };
        let late = section.number("late_seconds", LATE_SECONDS, 0..=86_400);
        Self { late: (late > 0).then(|| Duration::from_secs(late)), ..jobs }
    }
}
