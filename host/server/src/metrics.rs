//! Prometheus metrics. What a request touches is resolved beforehand.

mod checking;
mod errors;
mod events;
mod local;
mod plugins;
mod process;
mod queue;
mod storage;
mod tls;
mod traces;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::disk::DiskSpace;
use atelier_domain::generation::usage::TokenTotals;
use atelier_domain::model::Task;
use atelier_domain::money::MicroCredits;
use atelier_domain::time::Clock;
use atelier_service::StoragePool;
use atelier_service::events::Events;
use atelier_service::jobs::Jobs;
use atelier_service::limits::Class;
use atelier_service::meter::{CallRecord, Meter, ModelMeter, ScreeningOutcome};
use atelier_service::webhooks::Webhooks;
use http::StatusCode;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::app::Checking;
use crate::http::route::Route;
use crate::listener::Counts;
use crate::local::LocalProvider;
use plugins::PluginMetrics;

/// From 25 µs: what the host adds is far below a millisecond.
const FINE_SECONDS: [f64; 20] = [
    25e-6, 50e-6, 75e-6, 100e-6, 150e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25,
    0.5, 1.0, 2.5, 10.0, 60.0,
];

/// All metrics of the host.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    routes: Vec<RouteMetrics>,
    unrouted: IntCounterVec,
    shared: IntCounter,
    refused: [IntCounter; Class::ALL.len()],
    calls: CallMetrics,
    catalogues: IntCounterVec,
    jobs: IntCounterVec,
    jobs_unknown: IntCounterVec,
    callbacks: IntCounterVec,
    screened: IntCounterVec,
    sweeps_skipped: IntCounterVec,
    plugins: PluginMetrics,
    connections: Counts,
    signatures_refused: IntCounter,
}

#[derive(Debug)]
struct RouteMetrics {
    duration: Histogram,
    host: Histogram,
    /// By the hundreds of the status.
    statuses: [IntCounter; 5],
}

#[derive(Clone, Debug)]
struct CallMetrics {
    ended: IntCounterVec,
    duration: HistogramVec,
    first: HistogramVec,
    tokens: IntCounterVec,
    charged: IntCounterVec,
}

impl Metrics {
    /// Metrics for a route table.
    ///
    /// # Errors
    /// Two metrics have one name: a bug of ours.
    pub fn new(table: &[Route]) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let histogram =
            |name: &str, help: &str, labels: &[&str]| -> Result<HistogramVec, prometheus::Error> {
                let options = HistogramOpts::new(name, help).buckets(FINE_SECONDS.to_vec());
                let histogram = HistogramVec::new(options, labels)?;
                registry.register(Box::new(histogram.clone()))?;
                Ok(histogram)
            };
        let requests = counter(
            "atelier_requests_total",
            "Requests by route and status class.",
            &["method", "route", "status"],
        )?;
        let duration =
            histogram("atelier_request_seconds", "Time to the end of the answer.", &["method", "route"])?;
        let host = histogram(
            "atelier_host_overhead_seconds",
            "Time to the answer's head without the provider's share.",
            &["method", "route"],
        )?;
        let refused =
            counter("atelier_limit_refusals_total", "Requests refused by our own limits.", &["class"])?;
        let build = Opts::new("atelier_build_info", "Always 1; the label says which version runs.");
        let build = IntGaugeVec::new(build, &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let connections = Counts {
            open: IntGauge::new("atelier_connections", "Connections of callers that are open.")?,
            refused: IntCounter::new(
                "atelier_connections_refused_total",
                "Connections of callers that were closed at once, since their address had too many.",
            )?,
        };
        let signatures = counter(
            "atelier_signature_refusals_total",
            "What was refused because of its signature.",
            &["what"],
        )?;
        registry.register(Box::new(build))?;
        registry.register(Box::new(connections.open.clone()))?;
        registry.register(Box::new(connections.refused.clone()))?;
        let shared = IntCounter::new(
            "atelier_requests_shared_total",
            "Requests that waited for the answer to an identical one.",
        )?;
        registry.register(Box::new(shared.clone()))?;
        registry.register(Box::new(process::Process::new()?))?;
        let routes = table.iter().map(|route| {
            let labels = [route.method.as_str(), route.path];
            RouteMetrics {
                duration: duration.with_label_values(&labels),
                host: host.with_label_values(&labels),
                statuses: ["1xx", "2xx", "3xx", "4xx", "5xx"]
                    .map(|status| requests.with_label_values(&[labels[0], labels[1], status])),
            }
        });
        let calls = CallMetrics {
            ended: counter(
                "atelier_provider_calls_total",
                "Calls by outcome.",
                &["instance", "task", "outcome"],
            )?,
            duration: histogram("atelier_provider_call_seconds", "Time of calls.", &["instance", "task"])?,
            first: histogram(
                "atelier_first_event_seconds",
                "Time to a call's first event.",
                &["instance", "task"],
            )?,
            charged: counter(
                "atelier_charged_micro_credits_total",
                "What calls and jobs were charged, in millionths of a credit; refunds are not taken off.",
                &["instance"],
            )?,
            tokens: counter(
                "atelier_tokens_total",
                "Tokens as providers report them.",
                &["instance", "direction"],
            )?,
        };
        Ok(Self {
            routes: routes.collect(),
            unrouted: counter("atelier_unrouted_requests_total", "Requests to no route.", &["status"])?,
            shared,
            refused: Class::ALL.map(|class| refused.with_label_values(&[class.as_str()])),
            calls,
            catalogues: counter(
                "atelier_catalogue_loads_total",
                "Loads of model lists.",
                &["instance", "outcome"],
            )?,
            jobs: counter("atelier_jobs_ended_total", "Jobs by their final state.", &["instance", "state"])?,
            jobs_unknown: counter(
                "atelier_jobs_outcome_unknown_total",
                "Jobs whose request may have been paid for at the provider without a result.",
                &["instance"],
            )?,
            sweeps_skipped: counter(
                "atelier_sweep_skipped_total",
                "Rows and blobs that sweeps left, since they could not be read or removed.",
                &["sweep"],
            )?,
            screened: counter(
                "atelier_prompts_screened_total",
                "Prompts that were judged before they were sent, by what became of them.",
                &["instance", "outcome"],
            )?,
            callbacks: counter(
                "atelier_callbacks_total",
                "Providers' callbacks by what became of them.",
                &["instance", "outcome"],
            )?,
            plugins: PluginMetrics::new(&registry)?,
            connections,
            signatures_refused: signatures.with_label_values(&["plugin"]),
            registry,
        })
    }

    /// Tells how full the way to the stores is, from now on.
    ///
    /// # Errors
    /// It is told already: a bug of ours.
    pub(crate) fn watch_storage(
        &self,
        pool: StoragePool,
        disk: Arc<dyn DiskSpace>,
    ) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(storage::Storage::new(pool, disk)?))
    }

    /// Tells what in-house models take and do, from now on.
    ///
    /// # Errors
    /// It is told already: a bug of ours.
    pub(crate) fn watch_local(&self, provider: Arc<LocalProvider>) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(local::LocalModels::new(provider)?))
    }

    /// Tells what is known of what is stored, from now on.
    ///
    /// # Errors
    /// It is told already: a bug of ours.
    pub(crate) fn watch_stored(
        &self,
        checking: Arc<Checking>,
        data: PathBuf,
    ) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(checking::Stored::new(checking, data)?))
    }

    /// Tells of feeds and outgoing webhooks, from now on.
    ///
    /// # Errors
    /// It is told already: a bug of ours.
    pub(crate) fn watch_events(
        &self,
        events: Events,
        webhooks: Webhooks,
        clock: Arc<dyn Clock>,
    ) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(events::EventMetrics::new(events, webhooks, clock)?))
    }

    /// Tells how full the queue of jobs is, from now on.
    ///
    /// # Errors
    /// It is told already: a bug of ours.
    pub(crate) fn watch_queue(&self, jobs: Jobs) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(queue::Queue::new(jobs)?))
    }

    /// The counts of callers' connections.
    pub(crate) fn connections(&self) -> Counts {
        self.connections.clone()
    }

    /// A plugin's file was refused because of its signature.
    pub(crate) fn signature_refused(&self) {
        self.signatures_refused.inc();
    }

    /// A request ended.
    pub(crate) fn request(&self, route: usize, status: u16, total: Duration, host: Option<Duration>) {
        let Some(metrics) = self.routes.get(route) else { return };
        metrics.duration.observe(total.as_secs_f64());
        if let Some(host) = host {
            metrics.host.observe(host.as_secs_f64());
        }
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        metrics.statuses[class].inc();
    }

    /// A request to no route ended.
    pub(crate) fn unrouted(&self, status: StatusCode) {
        self.unrouted.with_label_values(&[status.as_str()]).inc();
    }

    /// A request was refused by a limit of ours.
    pub(crate) fn refused(&self, class: Class) {
        self.refused[class as usize].inc();
    }

    /// A request waits for the answer to an identical one.
    pub(crate) fn shared(&self) {
        self.shared.inc();
    }

    /// The text format of Prometheus.
    ///
    /// # Errors
    /// A bug of ours.
    pub fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::with_capacity(64 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

impl Meter for Metrics {
    fn model(&self, instance: &str, _: &str) -> Arc<dyn ModelMeter> {
        // A hub has thousands of models: they share their instance's series.
        let tasks = Task::ALL.map(|task| {
            let labels = [instance, task.as_str()];
            TaskMetrics {
                ok: OnceCounter::default(),
                duration: std::sync::OnceLock::new(),
                first: std::sync::OnceLock::new(),
                labels: labels.map(str::to_owned),
            }
        });
        let token = |direction| self.calls.tokens.with_label_values(&[instance, direction]);
        Arc::new(InstanceMeter {
            calls: self.calls.clone(),
            tasks,
            input: token("input"),
            output: token("output"),
            charged: self.calls.charged.with_label_values(&[instance]),
        })
    }
    fn limit_refused(&self, class: Class) {
        self.refused(class);
    }
    fn catalogue_loaded(&self, instance: &str, ok: bool) {
        self.catalogues.with_label_values(&[instance, if ok { "ok" } else { "failed" }]).inc();
    }
    fn job_ended(&self, instance: &str, state: &'static str, code: Option<&str>, cost: Option<MicroCredits>) {
        if let Some(cost) = cost {
            self.calls.charged.with_label_values(&[instance]).inc_by(cost.get());
        }
        self.jobs.with_label_values(&[instance, state]).inc();
        if code == Some("outcome_unknown") {
            self.jobs_unknown.with_label_values(&[instance]).inc();
        }
    }
    fn callback_received(&self, instance: &str, outcome: &'static str) {
        self.callbacks.with_label_values(&[instance, outcome]).inc();
    }
    fn prompt_screened(&self, instance: &str, outcome: ScreeningOutcome) {
        self.screened.with_label_values(&[instance, outcome.as_str()]).inc();
    }
    fn sweep_skipped(&self, sweep: &'static str, count: usize) {
        self.sweeps_skipped.with_label_values(&[sweep]).inc_by(count as u64);
    }
}

type OnceCounter = std::sync::OnceLock<IntCounter>;

/// A task's series, made with its first call.
#[derive(Debug)]
struct TaskMetrics {
    ok: OnceCounter,
    duration: std::sync::OnceLock<Histogram>,
    first: std::sync::OnceLock<Histogram>,
    labels: [String; 2],
}

#[derive(Debug)]
struct InstanceMeter {
    calls: CallMetrics,
    tasks: [TaskMetrics; Task::ALL.len()],
    input: IntCounter,
    output: IntCounter,
    charged: IntCounter,
}

impl ModelMeter for InstanceMeter {
    fn ended(&self, record: &CallRecord<'_>) {
        let task = &self.tasks[record.task as usize];
        let labels = [task.labels[0].as_str(), task.labels[1].as_str()];
        let counter = |outcome| self.calls.ended.with_label_values(&[labels[0], labels[1], outcome]);
        match record.outcome {
            "ok" => task.ok.get_or_init(|| counter("ok")).inc(),
            other => counter(other).inc(),
        }
        let duration = task.duration.get_or_init(|| self.calls.duration.with_label_values(&labels));
        duration.observe(record.duration.as_secs_f64());
        if let Some(first) = record.first {
            let series = task.first.get_or_init(|| self.calls.first.with_label_values(&labels));
            series.observe(first.as_secs_f64());
        }
        let tokens = TokenTotals::of(record.usage);
        self.input.inc_by(tokens.input);
        self.output.inc_by(tokens.output);
    }
    fn charged(&self, cost: MicroCredits) {
        self.charged.inc_by(cost.get());
    }
}
