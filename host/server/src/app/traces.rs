//! Tracing, as configured.

use std::sync::Arc;

use atelier_domain::trace::Tracer;
use atelier_runtime::egress::Egress;

use crate::config::{Config, Traces};
use crate::metrics::Metrics;
use crate::telemetry::{Exporter, SpanQueue};

/// What begins traces, and where they wait.
#[derive(Debug)]
pub(crate) struct Tracing {
    pub(crate) tracer: Tracer,
    /// Whether a request's own `traceparent` is followed.
    pub(crate) trusts_callers: bool,
    queue: Arc<SpanQueue>,
    config: Traces,
}

impl Tracing {
    /// `None` where nothing is to be traced.
    ///
    /// # Errors
    /// Two metrics have one name: a bug of ours.
    pub(super) fn new(config: &Config, metrics: &Metrics) -> anyhow::Result<Option<Self>> {
        let Some(config) = config.traces.clone() else { return Ok(None) };
        let queue = SpanQueue::new(config.queue_max, config.batch_max, metrics.watch_traces()?);
        let tracer = Tracer::new(queue.clone(), config.sample_ratio);
        Ok(Some(Self { tracer, trusts_callers: config.trust_callers, queue, config }))
    }

    /// What takes them to the collector.
    pub(super) fn exporter(&self, egress: &Egress) -> Exporter {
        Exporter::new(self.config.clone(), self.queue.clone(), egress.clone())
    }
}
