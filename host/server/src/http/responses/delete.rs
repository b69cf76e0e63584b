//! `DELETE /v1/responses/{id}`.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{named, response_id};
use crate::http::openapi::{Operation, Tag, words};
use crate::http::{ApiError, Call, Reply, answer, prefix};

#[derive(Serialize, ToSchema)]
#[schema(as = DeletedResponse)]
struct Deleted {
    #[schema(schema_with = response_id)]
    id: String,
    #[schema(inline, value_type = DeletedWord)]
    object: &'static str,
    /// Always `true`.
    deleted: bool,
}

words! {
    DeletedWord: "response";
}

/// Forgets one of the caller's answers.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let kept = named(&mut call).await?;
    call.app.responses.remove(call.caller()?, kept.id).await?;
    let id = prefix::of(prefix::RESPONSE, &kept.id.simple());
    answer::json(&Deleted { id, object: "response", deleted: true })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("deleteResponse", Tag::Chat, "Delete a kept response (OpenAI)")
        .about("Answers that go on from it can no longer be gone on from.")
        .path("id", response_id(), "The response.")
        .answers::<Deleted>(
            200,
            "It is deleted.",
            json!({"id": "resp_019ab0c3e5f07d0aa1b2c3d4e5f60718", "object": "response", "deleted": true}),
        )
        .refuses(&[404])
}
