//! `POST /api/v1/provider-keys/{instance}/remove`.

use http::StatusCode;

use crate::http::openapi::{Operation, Tag, text};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, gate};

/// Forgets one of the caller's keys.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let instance: String = path(&mut call, "instance").await?;
    call.app.own_keys.remove(call.caller()?, &instance).await?;
    Ok(gate::empty(StatusCode::NO_CONTENT))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("removeProviderKey", Tag::Keys, "Remove your own key of a provider")
        .about("From then on the instance is called with the operator's key, at your cost here. Jobs that began with yours end.")
        .path("instance", text(64), "The instance.")
        .empty(204, "It is removed.")
        .refuses(&[404])
}
