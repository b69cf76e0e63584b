//! How full the queue of jobs is, read when it is asked for.

use atelier_service::jobs::Jobs;
use prometheus::IntGauge;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

/// The queue of jobs.
pub(super) struct Queue {
    jobs: Jobs,
    open: IntGauge,
    begun: IntGauge,
}

impl Queue {
    pub(super) fn new(jobs: Jobs) -> Result<Self, prometheus::Error> {
        Ok(Self {
            jobs,
            open: IntGauge::new("atelier_jobs_open", "Jobs that have not ended.")?,
            begun: IntGauge::new("atelier_jobs_begun", "Jobs that have begun and not ended.")?,
        })
    }
}

impl Collector for Queue {
    fn desc(&self) -> Vec<&Desc> {
        [self.open.desc(), self.begun.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let count = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        let queue = self.jobs.queue();
        self.open.set(count(queue.open));
        self.begun.set(count(queue.begun));
        [self.open.collect(), self.begun.collect()].concat()
    }
}
