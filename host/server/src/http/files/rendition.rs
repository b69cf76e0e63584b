//! `GET /v1/files/{id}/thumbnail` and `GET /v1/files/{id}/peaks`: a file shown small.

use atelier_domain::rendition::RenditionKind;

use super::{file_id, named};
use crate::http::content::{self, Content};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply};

/// Streams a small picture of an image to its owner.
pub(in crate::http) async fn thumbnail(call: Call) -> Result<Reply, ApiError> {
    reply(call, RenditionKind::Thumbnail).await
}

/// Streams the peaks of a sound to its owner.
pub(in crate::http) async fn peaks(call: Call) -> Result<Reply, ApiError> {
    reply(call, RenditionKind::Peaks).await
}

async fn reply(mut call: Call, kind: RenditionKind) -> Result<Reply, ApiError> {
    let file = named(&mut call).await?;
    let blob = call.app.files.open(&file).await?;
    let rendition = call.app.renditions.of(blob, kind).await?;
    content::reply(&call.parts, Content::saved(rendition, None))
}

/// What the reference says of thumbnails.
pub(in crate::http) fn describe_thumbnail() -> Operation {
    let operation = Operation::new("getFileThumbnail", Tag::Files, "Get a thumbnail of a file").path(
        "id",
        file_id(),
        "The file.",
    );
    content::described(operation, content::THUMBNAIL).refuses(&[503])
}

/// What the reference says of peaks.
pub(in crate::http) fn describe_peaks() -> Operation {
    let operation = Operation::new("getFilePeaks", Tag::Files, "Get the waveform of a file").path(
        "id",
        file_id(),
        "The file.",
    );
    content::described_peaks(operation).refuses(&[503])
}
