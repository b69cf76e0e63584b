//! `DELETE /v1/files/{id}`.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{file_id, named};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer, prefix};

#[derive(Serialize, ToSchema)]
#[schema(as = DeletedFile)]
struct Deleted {
    #[schema(schema_with = file_id)]
    id: String,
    object: &'static str,
    /// Always `true`.
    deleted: bool,
}

/// Removes one of the caller's files.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let file = named(&mut call).await?;
    call.app.files.remove(call.caller()?, file.id).await?;
    answer::json(&Deleted { id: prefix::of(prefix::FILE, &file.id.simple()), object: "file", deleted: true })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("deleteFile", Tag::Files, "Delete a file")
        .about("Its bytes no longer count against the quota. Jobs that were given it keep its content; links to it lead nowhere.")
        .path("id", file_id(), "The file.")
        .answers::<Deleted>(
            200,
            "It is deleted.",
            json!({"id": "file-019ab0c3e5f07d0aa1b2c3d4e5f60718", "object": "file", "deleted": true}),
        )
        .refuses(&[404])
}
