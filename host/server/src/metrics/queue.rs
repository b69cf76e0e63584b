//! How full the queue of jobs is, read when it is asked for.

use atelier_service::jobs::Jobs;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntGauge};

/// The queue of jobs.
pub(super) struct Queue {
    jobs: Jobs,
    open: IntGauge,
    begun: IntGauge,
    oldest: Gauge,
}

impl Queue {
    pub(super) fn new(jobs: Jobs) -> Result<Self, prometheus::Error> {
        Ok(Self {
            jobs,
            open: IntGauge::new("atelier_jobs_open", "Jobs that have not ended.")?,
            begun: IntGauge::new("atelier_jobs_begun", "Jobs that have begun and not ended.")?,
            oldest: Gauge::new(
                "atelier_jobs_oldest_due_seconds",
                "How long the job has waited for a worker that has waited for longest; 0 while none waits.",
            )?,
        })
    }
}

impl Collector for Queue {
    fn desc(&self) -> Vec<&Desc> {
        [self.open.desc(), self.begun.desc(), self.oldest.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let count = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        let queue = self.jobs.queue();
        self.open.set(count(queue.open));
        self.begun.set(count(queue.begun));
        self.oldest.set(self.jobs.oldest_due().as_secs_f64());
        [self.open.collect(), self.begun.collect(), self.oldest.collect()].concat()
    }
}
