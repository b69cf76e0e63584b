//! `GET /v1/files/{id}`.

use super::view::{FileView, sample};
use super::{file_id, named};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer};

/// One of the caller's files.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let file = named(&mut call).await?;
    answer::json(&FileView::from(&file))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getFile", Tag::Files, "Get a file")
        .path("id", file_id(), "The file.")
        .answers::<FileView<'_>>(200, "What is known of the file.", sample())
        .refuses(&[404])
}
