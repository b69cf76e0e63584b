//! `POST /api/v1/keys/{id}/revoke`.

use http::StatusCode;

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
