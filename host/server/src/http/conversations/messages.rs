//! `GET /api/v1/conversations/{id}/messages?from=ID&limit=N`: the messages of a branch.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{MessageView, sample_answer, sample_question};
use crate::http::openapi::{Operation, Tag, id, number};
use crate::http::query::{page_size, parsed, path, query};
use crate::http::{ApiError, Call, Reply, answer};

const PAGE_USUAL: usize = 20;
const PAGE_MAX: usize = 100;

#[derive(Serialize, ToSchema)]
#[schema(as = ConversationMessages)]
struct Page<'a> {
    data: Vec<MessageView<'a>>,
    /// What to send as `from` for the next page; `null` on the last.
    #[schema(required)]
    next: Option<String>,
}

/// Messages of one branch, from its end to its beginning.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["from", "limit"])?;
    let from = query.get("from").map(|text| parsed("from", text)).transpose()?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let id = path(&mut call, "id").await?;
    let (found, next) = call.app.conversations.messages(call.caller()?, id, from, limit).await?;
    let data = found.iter().map(|listed| MessageView::listed(&listed.message, &listed.siblings)).collect();
    answer::json(&Page { data, next: next.map(|next| next.to_string()) })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let (mut newest, mut oldest) = (sample_answer(), sample_question());
    newest["siblings"] = json!(["019ab0c3-e5f2-7d0a-a1b2-c3d4e5f60718"]);
    oldest["siblings"] = json!(["019ab0c3-e5f1-7d0a-a1b2-c3d4e5f60718"]);
    Operation::new("listConversationMessages", Tag::Conversations, "List the messages of a branch")
        .about("From its end to its beginning.")
        .path("id", id(), "The conversation.")
        .query(
            "from",
            id(),
            "Begin with this message: the `next` of the page before, or any message of another branch. The end of the current \
             branch, if it is not sent.",
        )
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .answers::<Page<'_>>(200, "A page of messages.", json!({"data": [newest, oldest], "next": null}))
        .refuses(&[404])
}
