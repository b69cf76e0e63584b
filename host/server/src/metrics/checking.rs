//! What is known of what is stored, read when it is asked for.

use std::path::PathBuf;
use std::sync::Arc;

use atelier_storage::Check;
use prometheus::IntGauge;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use crate::app::Checking;
use crate::backup::LastBackup;

/// Rows, blobs and the space that is left for them.
pub(super) struct Stored {
    checking: Arc<Checking>,
    rows: IntGauge,
    rows_checked: IntGauge,
    is_whole: IntGauge,
    is_damaged: IntGauge,
    blobs_checked: IntGauge,
    blobs_bad: IntGauge,
    free: IntGauge,
    last_backup: IntGauge,
    data: PathBuf,
}

impl Stored {
    pub(super) fn new(checking: Arc<Checking>, data: PathBuf) -> Result<Self, prometheus::Error> {
        Ok(Self {
            checking,
            rows: IntGauge::new("atelier_store_rows", "Rows that were committed.")?,
            rows_checked: IntGauge::new(
                "atelier_store_rows_checked",
                "Rows that the check under way, or the last, has read.",
            )?,
            is_whole: IntGauge::new(
                "atelier_store_whole",
                "1 once all rows were read since the start and are those that were committed.",
            )?,
            is_damaged: IntGauge::new(
                "atelier_store_damaged",
                "1 once damage was found: nothing stored is served.",
            )?,
            blobs_checked: IntGauge::new(
                "atelier_blobs_checked",
                "Blobs that the check under way, or the last, has looked for.",
            )?,
            blobs_bad: IntGauge::new(
                "atelier_blobs_missing",
                "Blobs that rows name and that are gone or damaged.",
            )?,
            free: IntGauge::new("atelier_storage_free_bytes", "Bytes that are left where data lies.")?,
            last_backup: IntGauge::new(
                "atelier_last_backup_timestamp_seconds",
                "When the last backup was handed over; 0 if none ever was.",
            )?,
            data,
        })
    }

    fn all(&self) -> [&IntGauge; 8] {
        [
            &self.rows,
            &self.rows_checked,
            &self.is_whole,
            &self.is_damaged,
            &self.blobs_checked,
            &self.blobs_bad,
            &self.free,
            &self.last_backup,
        ]
    }
}

impl Collector for Stored {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let (health, blobs) = (self.checking.store.health(), self.checking.blobs());
        self.rows.set(count(health.rows.unwrap_or(0)));
        self.rows_checked.set(count(health.rows_read));
        self.is_whole.set(i64::from(matches!(health.check, Check::Whole { .. })));
        self.is_damaged.set(i64::from(matches!(health.check, Check::Damaged(_))));
        self.blobs_checked.set(count(blobs.looked_for));
        self.blobs_bad.set(count(blobs.bad));
        self.free.set(count(self.checking.store.free_bytes().unwrap_or(0)));
        let last = LastBackup::read(&self.data).ok().flatten();
        self.last_backup.set(count(last.map_or(0, |last| last.at)));
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}
