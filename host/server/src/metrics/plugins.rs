//! Calls into the sandbox.

use atelier_domain::failure::ProviderError;
use atelier_runtime::{CallReport, Observer};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::{FINE_SECONDS, Metrics};

/// What is counted and measured of each call.
#[derive(Debug)]
pub(super) struct PluginMetrics {
    ended: IntCounterVec,
    cpu: HistogramVec,
    memory: HistogramVec,
}

impl PluginMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let ended =
            Opts::new("atelier_plugin_calls_total", "Calls into plugins by instance and how they ended.");
        let ended = IntCounterVec::new(ended, &["instance", "outcome"])?;
        let cpu = HistogramOpts::new("atelier_plugin_cpu_seconds", "CPU time of a call into a plugin.");
        let cpu = HistogramVec::new(cpu.buckets(FINE_SECONDS.to_vec()), &["instance"])?;
        let memory =
            HistogramOpts::new("atelier_plugin_memory_bytes", "Linear memory of a plugin at its call's end.");
        let memory = HistogramVec::new(
            memory.buckets(prometheus::exponential_buckets(65_536.0, 2.0, 12)?),
            &["instance"],
        )?;
        registry.register(Box::new(ended.clone()))?;
        registry.register(Box::new(cpu.clone()))?;
        registry.register(Box::new(memory.clone()))?;
        Ok(Self { ended, cpu, memory })
    }
}

impl Observer for Metrics {
    fn call_ended(&self, report: &CallReport<'_>) {
        let outcome = report.error.map_or("ok", ProviderError::kind);
        self.plugins.ended.with_label_values(&[report.instance, outcome]).inc();
        self.plugins.cpu.with_label_values(&[report.instance]).observe(report.cpu.as_secs_f64());
        if report.used.memory_bytes > 0 {
            self.plugins
                .memory
                .with_label_values(&[report.instance])
                .observe(report.used.memory_bytes as f64);
        }
    }
}
