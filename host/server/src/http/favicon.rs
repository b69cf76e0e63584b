//! `GET /favicon.ico`: none, said briefly.

use http::StatusCode;

use super::openapi::{Operation, Tag};
use super::{ApiError, Call, Reply, gate};

/// There is no icon.
pub(in crate::http) async fn get(_: Call) -> Result<Reply, ApiError> {
    Ok(gate::empty(StatusCode::NO_CONTENT))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getFavicon", Tag::Reference, "Get the icon")
        .about("There is none, which browsers like to be told.")
        .empty(204, "No icon.")
}
