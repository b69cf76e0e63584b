//! `GET /v1/files/{id}/content`.

use super::{file_id, named};
use crate::http::content::{self, Content};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply};

/// Streams a file to its owner.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let file = named(&mut call).await?;
    let blob = call.app.files.open(&file).await?;
    content::reply(&call.parts, Content::saved(blob, Some(&file.name)))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let operation =
        Operation::new("getFileContent", Tag::Files, "Download a file").path("id", file_id(), "The file.");
    content::described(
        operation,
        "A file's bytes, always as an attachment. They never change: keep them by their `etag`.",
    )
}
