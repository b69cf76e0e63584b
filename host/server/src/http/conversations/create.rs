//! `POST /api/v1/conversations`.

use atelier_service::conversations::NewConversation;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{ConversationView, sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer, body};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewConversation)]
struct Body {
    #[schema(min_length = 1, max_length = 200)]
    title: Option<String>,
    /// `instance/model`, or an alias of the operator's. It may be named with the first message as well.
    model: Option<String>,
    /// What every model is told first.
    #[schema(min_length = 1, max_length = 32768)]
    system: Option<String>,
}

/// Begins a conversation.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let Body { title, model, system } = body::parse(&bytes)?;
    let new = NewConversation { title, model, system };
    let made = call.app.conversations.create(call.caller()?, new).await?;
    answer::json_with(StatusCode::CREATED, &ConversationView::from(&made))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("createConversation", Tag::Conversations, "Begin a conversation")
        .takes::<Body>(json!({"model": "local/smollm2-135m-instruct"}))
        .answers::<ConversationView<'_>>(201, "The conversation, still empty.", sample())
        .refuses(&[404])
}
