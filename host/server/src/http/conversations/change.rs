//! `POST /api/v1/conversations/{id}`.

use atelier_service::conversations::ConversationChange;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{ConversationView, sample};
use crate::http::openapi::{Operation, Tag, id, optional_id};
use crate::http::query::{parsed, path};
use crate::http::{ApiError, Call, Reply, answer, body};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConversationChange)]
struct Body {
    #[schema(min_length = 1, max_length = 200)]
    title: Option<String>,
    archived: Option<bool>,
    /// A message of the branch to go on with: its newest end is the current one from then on.
    #[schema(schema_with = optional_id)]
    branch: Option<String>,
}

/// Changes one of the caller's conversations; what is absent stays.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let id = path(&mut call, "id").await?;
    let Body { title, archived, branch } = body::parse(&bytes)?;
    let branch = branch.map(|text| parsed("branch", &text)).transpose()?;
    let change = ConversationChange { title, archived, branch };
    let changed = call.app.conversations.change(call.caller()?, id, change).await?;
    answer::json(&ConversationView::from(&changed))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("changeConversation", Tag::Conversations, "Rename, archive or switch branch")
        .about("What is not sent stays as it is.")
        .path("id", id(), "The conversation.")
        .takes::<Body>(json!({"title": "Capitals"}))
        .answers::<ConversationView<'_>>(200, "The conversation as it is now.", sample())
        .refuses(&[404])
}
