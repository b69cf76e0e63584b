//! `GET /favicon.ico`: none, said briefly.

use http::StatusCode;

use super::{ApiError, Call, Reply, gate};

/// There is no icon.
pub(in crate::http) async fn get(_: Call) -> Result<Reply, ApiError> {
    Ok(gate::empty(StatusCode::NO_CONTENT))
}
