//! How full the way to the stores is, and the disk behind them, read when it is asked for.

use std::sync::Arc;

use atelier_domain::disk::DiskSpace;
use atelier_service::StoragePool;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounter, IntGauge};

/// The storage pool's places and its queue.
pub(super) struct Storage {
    pool: StoragePool,
    disk: Arc<dyn DiskSpace>,
    free: Gauge,
    places: IntGauge,
    running: IntGauge,
    waiting: IntGauge,
    refused: IntCounter,
}

impl Storage {
    pub(super) fn new(pool: StoragePool, disk: Arc<dyn DiskSpace>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            pool,
            disk,
            free: Gauge::new(
                "atelier_disk_free_bytes",
                "What can be written still to the disk of the data.",
            )?,
            places: IntGauge::new("atelier_storage_places", "Store calls that may run at once.")?,
            running: IntGauge::new("atelier_storage_calls_running", "Store calls that run now.")?,
            waiting: IntGauge::new("atelier_storage_calls_waiting", "Store calls that wait for a place.")?,
            refused: refused()?,
        })
    }
}

fn refused() -> Result<IntCounter, prometheus::Error> {
    IntCounter::new(
        "atelier_storage_refusals_total",
        "Store calls refused because queue or wait were too long.",
    )
}

impl Collector for Storage {
    fn desc(&self) -> Vec<&Desc> {
        [self.free.desc(), self.places.desc(), self.running.desc(), self.waiting.desc(), self.refused.desc()]
            .concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let count = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.places.set(count(self.pool.places()));
        self.running.set(count(self.pool.running()));
        self.waiting.set(count(self.pool.waiting()));
        let mut all = [self.places.collect(), self.running.collect(), self.waiting.collect()].concat();
        // What the system does not say is left out: no number would be true.
        if let Ok(free) = self.disk.free_bytes() {
            self.free.set(free as f64);
            all.extend(self.free.collect());
        }
        // The pool counts; a counter of its own for each answer says what it counted.
        if let Ok(refused) = refused() {
            refused.inc_by(self.pool.refused());
            all.extend(refused.collect());
        }
        all
    }
}
