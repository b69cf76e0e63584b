//! `GET /api/v1/generations/{id}/events`: one job's feed, which ends after the job's last event.

use http::StatusCode;

use crate::http::events::feed::{self, AFTER};
use crate::http::openapi::{Operation, Tag, id, number};
use crate::http::query::{path, query};
use crate::http::{ApiError, Call, Reply, gate};

/// Follows one of the caller's jobs from its beginning, or from where the reader left.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let query = query(&call.parts.uri, &[AFTER])?;
    let after = feed::after(&call.parts.headers, query.get(AFTER))?.unwrap_or(0);
    match call.app.events.follow_job(call.caller()?, id, after).await? {
        Some(items) => Ok(feed::reply(items)),
        // The word at which browsers stop asking again.
        None => Ok(gate::empty(StatusCode::NO_CONTENT)),
    }
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let operation = Operation::new("followGeneration", Tag::Generations, "Follow a generation")
        .about(
            "Server-sent events of one job, from its beginning to its end, with which the feed ends. Otherwise as `GET /api/v1/events`.",
        )
        .path("id", id(), "The job.")
        .query(AFTER, number(0, u32::MAX as usize, None), "Begin after this event.");
    feed::described(operation)
        .empty(204, "The job has ended and there is nothing after that event.")
        .refuses(&[404])
}
