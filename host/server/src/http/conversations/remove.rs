//! `DELETE /api/v1/conversations/{id}`.

use http::StatusCode;

use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, gate};

/// Removes one of the caller's conversations.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    call.app.conversations.remove(call.caller()?, id).await?;
    Ok(gate::empty(StatusCode::NO_CONTENT))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("deleteConversation", Tag::Conversations, "Delete a conversation")
        .about("With all its messages: they can be neither read nor found from then on, and count no more.")
        .path("id", id(), "The conversation.")
        .empty(204, "It is deleted.")
        .refuses(&[404])
}
