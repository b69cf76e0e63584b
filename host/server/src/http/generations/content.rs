//! `GET /api/v1/generations/{id}/outputs/{index}`: a result's bytes.

use atelier_domain::job::StoredOutput;
use atelier_service::ServiceError;

use crate::http::content::{self, Content};
use crate::http::openapi::{Operation, Tag, id, number};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply};

/// Streams a result to the job's owner.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let index: usize = path(&mut call, "index").await?;
    let job = call.app.jobs.get(call.caller()?, id).await?;
    let Some(StoredOutput::Media { blob, size, content_type, .. }) = job.outputs.get(index) else {
        return Err(ServiceError::NotFound { what: "such output" }.into());
    };
    let blob = call.app.jobs.open(*blob, *size, content_type).await?;
    content::reply(&call.parts, Content::saved(blob, None))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let operation = Operation::new("getGenerationOutput", Tag::Generations, "Download an output")
        .path("id", id(), "The job.")
        .path(
            "index",
            number(0, u32::MAX as usize, None),
            "The output's place among the job's `outputs`, from 0.",
        );
    content::described(
        operation,
        "A result's bytes, always as an attachment. They never change: keep them by their `etag`.",
    )
}
