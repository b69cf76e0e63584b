//! `POST /api/v1/keys/{id}/revoke`.

use http::StatusCode;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::{path, query};
use crate::http::{ApiError, Call, Reply, gate};

/// Makes a key open nothing, at once.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let query = query(&call.parts.uri, &["user"])?;
    let owner = super::owner(&call.app, call.caller()?, query.get("user").map(String::as_str)).await?;
    call.app.accounts.revoke_key(owner, id).await?;
    Ok(gate::empty(StatusCode::NO_CONTENT))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("revokeKey", Tag::Keys, "Revoke a key")
        .about("The key opens nothing from then on. Revoking it again changes nothing.")
        .path("id", id(), "The key.")
        .query(
            "user",
            ObjectBuilder::new().schema_type(Type::String),
            "Its owner's name, if that is not you: for administrators.",
        )
        .empty(204, "It is revoked.")
        .refuses(&[404])
}
