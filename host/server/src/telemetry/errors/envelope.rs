//! A report as Sentry's protocol writes it: an envelope with one event (<https://develop.sentry.dev/sdk/data-model/envelopes/>,
//! <https://develop.sentry.dev/sdk/data-model/event-payloads/>).
//!
//! It names no machine and no user: `server_name` and `user` are left out.

use atelier_domain::time::Timestamp;
use serde_json::{Map, Value, json};

use super::{ErrorReport, panics};
use crate::config::Errors;

/// Fields by which errors are found as well as read.
const TAGS: [&str; 4] = ["request_id", "code", "job", "instance"];
/// Characters of a tag's value.
const TAG_CHARACTERS_MAX: usize = 200;
pub(super) const SDK: &str = "atelier";

/// The body of a request.
pub(super) fn envelope(report: &ErrorReport, config: &Errors, now: Timestamp) -> Vec<u8> {
    let event = event(report, config).to_string();
    let header = json!({
        "event_id": report.id.simple().to_string(),
        "sent_at": now.rfc3339(),
        "sdk": sdk(),
    });
    let item = json!({ "type": "event", "length": event.len(), "content_type": "application/json" });
    format!("{header}\n{item}\n{event}\n").into_bytes()
}

fn sdk() -> Value {
    json!({ "name": SDK, "version": env!("CARGO_PKG_VERSION") })
}

fn event(report: &ErrorReport, config: &Errors) -> Value {
    let told = |wanted: &str| report.fields.iter().find(|(name, _)| *name == wanted).map(|(_, text)| text);
    let mut tags: Map<String, Value> =
        TAGS.iter().filter_map(|name| Some(((*name).to_owned(), tag(told(name)?).into()))).collect();
    tags.insert("module".to_owned(), tag(report.target).into());
    let mut fields: Map<String, Value> =
        report.fields.iter().map(|(name, text)| ((*name).to_owned(), text.as_str().into())).collect();
    let mut event = json!({
        "event_id": report.id.simple().to_string(),
        "timestamp": report.time.rfc3339(),
        "platform": "other",
        "level": "error",
        "logger": report.target,
        "release": config.release,
        "environment": config.environment,
        "tags": tags,
        "sdk": sdk(),
    });
    if report.target == panics::TARGET {
        event["exception"] = json!({ "values": [exception(told("place"), told("words"))] });
    } else {
        event["logentry"] = json!({ "formatted": report.message });
        if let Some((file, line)) = report.place {
            fields.insert("place".to_owned(), format!("{file}:{line}").into());
        }
    }
    // Errors that are told in the same words are not the same.
    if let Some(code) = told("code") {
        event["fingerprint"] = json!(["{{ default }}", tag(code)]);
    }
    event["contexts"] = json!({ "log": fields });
    event
}

/// A panic: its place is what groups it.
fn exception(place: Option<&String>, words: Option<&String>) -> Value {
    let mut exception = json!({
        "type": "panic",
        "value": words.map_or("(its words are in no log: they may quote what was sent)", String::as_str),
        "mechanism": { "type": "panic", "handled": false },
    });
    // `FILE:LINE:COLUMN`.
    let mut parts = place.map(|place| place.rsplitn(3, ':')).into_iter().flatten();
    let column = parts.next().and_then(|column| column.parse::<u32>().ok());
    let line = parts.next().and_then(|line| line.parse::<u32>().ok());
    if let Some(file) = parts.next() {
        let frame = json!({ "filename": file, "lineno": line, "colno": column, "in_app": true });
        exception["stacktrace"] = json!({ "frames": [frame] });
    }
    exception
}

/// A tag's value: short, and in one line.
fn tag(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TAG_CHARACTERS_MAX).collect()
}
