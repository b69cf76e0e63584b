//! Logging: lines are written by a thread of their own, in batches, so that no request waits for a disk. Traces: [`traces`]. Errors: [`errors`].

mod errors;
mod lines;
mod traces;

use std::io;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Config, LogFormat};

pub(crate) use errors::{ErrorCounts, ErrorQueue, Reporter};
use errors::{ErrorLayer, log_panics};
use lines::LineWriter;
pub(crate) use traces::{Exporter, SpanCounts, SpanQueue};

/// A log at work. Dropping it writes what is left.
#[derive(Debug)]
pub(crate) struct Telemetry {
    _writer: LineWriter,
    /// What the log says at its level `error`. Absent where nobody is told of it.
    pub(crate) errors: Option<Arc<ErrorQueue>>,
}

/// Begins logging to standard error, panics included, and gathering what is to be reported.
///
/// # Errors
/// The machine gives no thread.
pub(crate) fn start(config: &Config) -> io::Result<Telemetry> {
    let log = &config.log;
    let guard = LineWriter::start(io::stderr())?;
    let writer = guard.lines();
    let plugins = if log.plugins { "" } else { ",plugin=off" };
    let filter = EnvFilter::new(format!("{},sled=warn,wasmtime=warn,cranelift=warn{plugins}", log.level));
    let counts = ErrorCounts::new().map_err(io::Error::other)?;
    let errors = config.errors.clone().map(|errors| ErrorQueue::new(errors, counts));
    // Over the log's filter: what is in no log is in no report.
    let reported = errors.clone().map(|queue| ErrorLayer { queue });
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE);
    // A second start in one process, as in tests, keeps the first.
    let outcome = match log.format {
        LogFormat::Json => subscriber
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .finish()
            .with(reported)
            .try_init(),
        LogFormat::Text => subscriber.with_ansi(false).finish().with(reported).try_init(),
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "logging was already started");
    }
    log_panics();
    Ok(Telemetry { _writer: guard, errors })
}
