//! `GET /api/v1/conversations/{id}`.

use super::view::{ConversationView, sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer};

/// One of the caller's conversations.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let found = call.app.conversations.get(call.caller()?, id).await?;
    answer::json(&ConversationView::from(&found))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getConversation", Tag::Conversations, "Get a conversation")
        .path("id", id(), "The conversation.")
        .answers::<ConversationView<'_>>(200, "The conversation, without its messages.", sample())
        .refuses(&[404])
}
