//! Hears what the log says at its level `error`, behind the log's own filter.
//!
//! Only our own lines are reported: their fields are chosen one by one and hold nothing of callers, as the log's tests show. Lines of plugins
//! are their authors', and those of libraries may quote anything.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Instant;

use atelier_domain::time::{Clock as _, SystemClock};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::{ErrorQueue, ErrorReport, panics};

/// How targets of our own begin.
const OURS: &str = "atelier";
/// The reporter's own lines, which it does not report.
const REPORTER: &str = "atelier_server::telemetry::errors";
/// Characters of a message, as many as Sentry keeps, and of a field.
const MESSAGE_CHARACTERS_MAX: usize = 8192;
const FIELD_CHARACTERS_MAX: usize = 2048;
const FIELDS_MAX: usize = 32;

/// Takes errors to a queue.
#[derive(Debug)]
pub(in crate::telemetry) struct ErrorLayer {
    pub(in crate::telemetry) queue: Arc<ErrorQueue>,
}

impl<S: Subscriber> Layer<S> for ErrorLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        if !is_reported(metadata) {
            return;
        }
        let mut told = Told::default();
        event.record(&mut told);
        let report = ErrorReport {
            id: uuid::Uuid::now_v7(),
            time: SystemClock::default().now(),
            target: metadata.target(),
            place: metadata.file().zip(metadata.line()),
            message: told.message,
            fields: told.fields,
        };
        self.queue.add(report, Instant::now());
    }
}

fn is_reported(metadata: &Metadata<'static>) -> bool {
    let target = metadata.target();
    *metadata.level() == Level::ERROR
        && (target == panics::TARGET || (target.starts_with(OURS) && !target.starts_with(REPORTER)))
}

/// What a line says, each part as long as it may be.
#[derive(Default)]
struct Told {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Told {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let is_message = field.name() == "message";
        let left = if is_message { MESSAGE_CHARACTERS_MAX } else { FIELD_CHARACTERS_MAX };
        let mut text = Bounded { text: String::new(), left };
        // It refuses nothing; a value that cannot be written is told as far as it could be.
        text.write_fmt(value).ok();
        if is_message {
            self.message = text.text;
        } else if self.fields.len() < FIELDS_MAX {
            self.fields.push((field.name(), text.text));
        }
    }
}

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

/// Text up to a number of characters; what is more goes nowhere.
struct Bounded {
    text: String,
    left: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        for character in piece.chars().take(self.left) {
            self.text.push(character);
            self.left -= 1;
        }
        Ok(())
    }
}
