//! `GET /api/v1/conversations?archived=true|false&before=CURSOR&limit=N`.

use atelier_domain::conversation::{Conversation, ConversationPage, ConversationPosition};
use atelier_domain::time::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::view::{ConversationView, sample};
use crate::http::openapi::{Operation, Tag, number};
use crate::http::query::{page_size, parsed, query};
use crate::http::{ApiError, Call, Reply, answer};

const PAGE_USUAL: usize = 20;
const PAGE_MAX: usize = 100;

#[derive(Serialize, ToSchema)]
#[schema(as = ConversationPage)]
struct Page<'a> {
    data: Vec<ConversationView<'a>>,
    /// What to send as `before` for the next page; `null` on the last.
    #[schema(required)]
    next: Option<String>,
}

/// The caller's conversations, the last to be active first.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["archived", "before", "limit"])?;
    let archived = query.get("archived").map(|text| parsed("archived", text)).transpose()?.unwrap_or(false);
    let before = query.get("before").map(|text| position(text)).transpose()?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let page = ConversationPage { archived, before, limit: limit + 1 };
    let mut found = call.app.conversations.list(call.caller()?, page).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = has_more.then(|| found.last().map(cursor)).flatten();
    answer::json(&Page { data: found.iter().map(ConversationView::from).collect(), next })
}

/// A place in the list: conversations move to its top, so that an id alone names none.
fn cursor(last: &Conversation) -> String {
    format!("{}.{}", last.active.0, last.id)
}

fn position(text: &str) -> Result<ConversationPosition, ApiError> {
    let read = || {
        let (active, id) = text.split_once('.')?;
        Some(ConversationPosition { active: Timestamp(active.parse().ok()?), id: id.parse().ok()? })
    };
    read().ok_or_else(|| ApiError::invalid("before", "must be the `next` of the page before"))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let flag = ObjectBuilder::new().schema_type(Type::Boolean);
    let text = ObjectBuilder::new().schema_type(Type::String);
    Operation::new("listConversations", Tag::Conversations, "List your conversations")
        .about("The last in which something was said comes first.")
        .query("archived", flag, "Those that are archived, in place of those that are not.")
        .query("before", text, "Begin behind the page whose `next` this is.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .answers::<Page<'_>>(200, "A page of conversations.", json!({"data": [sample()], "next": null}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_a_time_and_an_id() {
        assert!(position("1795305600000.019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718").is_ok());
        for bad in [
            "",
            ".",
            "1",
            "1.x",
            "x.019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718",
            "-1.019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718",
        ] {
            assert!(position(bad).is_err(), "{bad:?}");
        }
    }
}
