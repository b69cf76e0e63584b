//! What became of the spans of traces.

use prometheus::{Error, IntCounterVec, Opts};

use super::Metrics;
use crate::telemetry::SpanCounts;

impl Metrics {
    /// Tells of spans, from now on.
    ///
    /// # Errors
    /// It is told already: a bug of ours.
    pub(crate) fn watch_traces(&self) -> Result<SpanCounts, Error> {
        let help = "Spans of traces: taken by the collector, rejected by it, lost since it could not be told, dropped since too many waited.";
        let spans = IntCounterVec::new(Opts::new("atelier_trace_spans_total", help), &["outcome"])?;
        self.registry.register(Box::new(spans.clone()))?;
        let outcome = |word| spans.with_label_values(&[word]);
        Ok(SpanCounts {
            exported: outcome("exported"),
            rejected: outcome("rejected"),
            failed: outcome("failed"),
            dropped: outcome("dropped"),
        })
    }
}
