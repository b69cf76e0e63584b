//! Logging: lines are written by a thread of their own, through a bounded queue, so that no request waits for a disk.

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{Log, LogFormat};

/// Lines that wait to be written; more are dropped rather than holding a request up.
const LINES_MAX: usize = 65_536;

/// Begins logging to standard error. Dropping the guard writes what is left.
pub(crate) fn start(log: &Log) -> WorkerGuard {
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(LINES_MAX).lossy(true).finish(std::io::stderr());
    let plugins = if log.plugins { "" } else { ",plugin=off" };
    let filter = EnvFilter::new(format!("{},sled=warn,wasmtime=warn,cranelift=warn{plugins}", log.level));
    let subscriber =
        tracing_subscriber::fmt().with_writer(writer).with_env_filter(filter).with_span_events(FmtSpan::NONE);
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
    guard
}
