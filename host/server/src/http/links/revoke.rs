//! `POST /api/v1/links/{id}/revoke`.

use http::StatusCode;

use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, gate};

/// Makes a link lead nowhere, at once.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    call.app.links.revoke(call.caller()?, id).await?;
    Ok(gate::empty(StatusCode::NO_CONTENT))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("revokeLink", Tag::Links, "Revoke a link")
        .about("Its address leads nowhere from then on. What a browser has kept already is beyond the server's reach.")
        .path("id", id(), "The link.")
        .empty(204, "It is revoked.")
        .refuses(&[404])
}
