//! Logging: lines are written by a thread of their own, in batches, so that no request waits for a disk. Traces: [`traces`].

mod lines;
mod traces;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{Log, LogFormat};

use lines::LineWriter;
pub(crate) use traces::{Exporter, SpanCounts, SpanQueue};

/// Begins logging to standard error. Dropping the guard writes what is left.
///
/// # Errors
/// The machine gives no thread.
pub(crate) fn start(log: &Log) -> std::io::Result<LineWriter> {
    let guard = LineWriter::start(std::io::stderr())?;
    let writer = guard.lines();
    let plugins = if log.plugins { "" } else { ",plugin=off" };
    let filter = EnvFilter::new(format!("{},sled=warn,wasmtime=warn,cranelift=warn{plugins}", log.level));
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE);
    // A second start in one process, as in tests, keeps the first.
    let outcome = match log.format {
        LogFormat::Json => {
            subscriber.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
        }
        LogFormat::Text => subscriber.with_ansi(false).try_init(),
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "logging was already started");
    }
    Ok(guard)
}
