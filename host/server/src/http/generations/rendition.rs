//! `GET /api/v1/generations/{id}/outputs/{index}/thumbnail` and `…/peaks`: a result shown small.

use atelier_domain::job::StoredOutput;
use atelier_domain::rendition::RenditionKind;
use atelier_service::ServiceError;

use crate::http::content::{self, Content};
use crate::http::openapi::{Operation, Tag, id, number};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply};

/// Streams a small picture of an image to the job's owner.
pub(in crate::http) async fn thumbnail(call: Call) -> Result<Reply, ApiError> {
    reply(call, RenditionKind::Thumbnail).await
}

/// Streams the peaks of a sound to the job's owner.
pub(in crate::http) async fn peaks(call: Call) -> Result<Reply, ApiError> {
    reply(call, RenditionKind::Peaks).await
}

async fn reply(mut call: Call, kind: RenditionKind) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let index: usize = path(&mut call, "index").await?;
    let job = call.app.jobs.get(call.caller()?, id).await?;
    let Some(StoredOutput::Media { blob, size, content_type, .. }) = job.outputs.get(index) else {
        return Err(ServiceError::NotFound { what: "such output" }.into());
    };
    let blob = call.app.jobs.open(*blob, *size, content_type).await?;
    let rendition = call.app.renditions.of(blob, kind).await?;
    content::reply(&call.parts, Content::saved(rendition, None))
}

fn of_output(id_of: &'static str, summary: &'static str) -> Operation {
    Operation::new(id_of, Tag::Generations, summary).path("id", id(), "The job.").path(
        "index",
        number(0, u32::MAX as usize, None),
        "The output's place among the job's `outputs`, from 0.",
    )
}

/// What the reference says of thumbnails.
pub(in crate::http) fn describe_thumbnail() -> Operation {
    let operation = of_output("getGenerationOutputThumbnail", "Get a thumbnail of an output");
    content::described(operation, content::THUMBNAIL).refuses(&[503])
}

/// What the reference says of peaks.
pub(in crate::http) fn describe_peaks() -> Operation {
    let operation = of_output("getGenerationOutputPeaks", "Get the waveform of an output");
    content::described_peaks(operation).refuses(&[503])
}
