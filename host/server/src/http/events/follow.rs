//! `GET /api/v1/events`: all of the caller's jobs in one feed.

use super::feed::{self, AFTER};
use crate::http::openapi::{Operation, Tag, number};
use crate::http::query::query;
use crate::http::{ApiError, Call, Reply};

/// Follows what happens to the caller's jobs.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &[AFTER])?;
    let after = feed::after(&call.parts.headers, query.get(AFTER))?;
    Ok(feed::reply(call.app.events.follow(call.caller()?, after).await?))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let operation = Operation::new("followEvents", Tag::Events, "Follow your events")
        .about(
            "Server-sent events of all your jobs, each with its number as `id`. A reader that comes back with the header `last-event-id`, as \
             browsers do by themselves, gets what it has missed, each event once and in order, also after a restart of the server; what is \
             kept no more is said by an event of its own, `events.missed`. Without a number the feed begins with what happens next. \
             Progress is told once for each whole percent. A reader that takes nothing for too long is let go, and every feed ends after \
             some minutes: come back with the last number.",
        )
        .query(AFTER, number(0, u32::MAX as usize, None), "Begin after this event: for a first connection, at which browsers send no header. 0 begins with the oldest that is kept.");
    feed::described(operation)
}
