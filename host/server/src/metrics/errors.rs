//! What became of reports of errors.

use prometheus::Error;

use super::Metrics;
use crate::telemetry::ErrorCounts;

impl Metrics {
    /// Tells of reports, from now on.
    ///
    /// # Errors
    /// It is told already: a bug of ours.
    pub(crate) fn watch_errors(&self, counts: &ErrorCounts) -> Result<(), Error> {
        self.registry.register(Box::new(counts.family.clone()))
    }
}
