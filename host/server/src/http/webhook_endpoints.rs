//! `/api/v1/webhook-endpoints`: where callers want to be told of their jobs, and what became of it.

pub(super) mod change;
pub(super) mod create;
pub(super) mod deliveries;
pub(super) mod get;
pub(super) mod list;
pub(super) mod remove;
pub(super) mod resend;
pub(super) mod rotate;
pub(super) mod test;
pub(super) mod view;

use atelier_domain::event::EventKind;

use super::ApiError;

/// The kinds that words name.
fn kinds(words: &[String]) -> Result<Vec<EventKind>, ApiError> {
    let kind = |(i, word): (usize, &String)| {
        word.parse().map_err(|_| {
            let known: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
            ApiError::invalid(format!("events[{i}]"), format!("must be one of {}", known.join(", ")))
        })
    };
    words.iter().enumerate().map(kind).collect()
}
