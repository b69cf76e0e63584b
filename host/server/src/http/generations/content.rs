//! `GET /api/v1/generations/{id}/outputs/{index}`: a result's bytes.

use atelier_domain::blob::Blob;
use atelier_domain::job::StoredOutput;
use atelier_service::ServiceError;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue};

use crate::http::openapi::{Operation, Tag, form_file, id, number};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply};

const PIECE_BYTES: usize = 256 * 1024;

/// Streams a result to the job's owner.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let index: usize = path(&mut call, "index").await?;
    let job = call.app.jobs.get(call.caller()?, id).await?;
    let missing = || ApiError::from(ServiceError::NotFound { what: "such output" });
    let Some(StoredOutput::Media { blob, content_type, .. }) = job.outputs.get(index) else {
        return Err(missing());
    };
    let blob = call.app.jobs.open(*blob, content_type).await?.ok_or_else(missing)?;
    let mut response = Response::new(Body::from_stream(pieces(blob.clone())));
    let headers = response.headers_mut();
    let content_type = HeaderValue::try_from(&blob.content_type);
    headers
        .insert(CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(blob.size));
    // A result is data, whatever it claims to be: a browser never runs it as a page of ours.
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable"));
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", blob.id)) {
        headers.insert(ETAG, tag);
    }
    Ok(Reply { response, provider_time: None, is_stream: true })
}

/// A blob piece by piece, read on blocking threads; a failing disk breaks the connection.
fn pieces(blob: Blob) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send {
    stream::try_unfold(0u64, move |offset| {
        let blob = blob.clone();
        async move {
            if offset >= blob.size {
                return Ok(None);
            }
            let read = tokio::task::spawn_blocking(move || blob.read(offset, PIECE_BYTES));
            let piece = read.await.map_err(std::io::Error::other)??;
            let next = offset + piece.len() as u64;
            Ok(Some((piece, next)))
        }
    })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getGenerationOutput", Tag::Generations, "Download an output")
        .about("A result's bytes, always as an attachment. They never change: keep them by their `etag`.")
        .path("id", id(), "The job.")
        .path(
            "index",
            number(0, u32::MAX as usize, None),
            "The output's place among the job's `outputs`, from 0.",
        )
        .empty(200, "The bytes, in the output's own content type.")
        .or("*/*", form_file())
        .header("etag", "The content's digest.")
        .header("content-disposition", "`attachment`.")
        .refuses(&[404])
}
