//! `GET /v1/videos/{id}/content?variant=video|thumbnail|spritesheet`.

use atelier_domain::blob::BlobId;
use atelier_domain::job::{Job, StoredOutput};
use atelier_service::ServiceError;
use atelier_service::jobs::is_video;
use utoipa::PartialSchema;

use super::{named, video_id};
use crate::http::content::{self, Content};
use crate::http::openapi::{Operation, Tag, words};
use crate::http::query::query;
use crate::http::{ApiError, Call, Reply};

/// The attribute of a result that is made of another one.
const VARIANT: &str = "variant";
const VIDEO: &str = "video";
const DERIVED: [&str; 2] = ["thumbnail", "spritesheet"];

words! {
    VariantWord: "video" | "thumbnail" | "spritesheet";
}

/// Streams a video to its owner.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &[VARIANT])?;
    let variant = query.get(VARIANT).map_or(VIDEO, String::as_str);
    if variant != VIDEO && !DERIVED.contains(&variant) {
        return Err(ApiError::invalid(VARIANT, "must be \"video\", \"thumbnail\" or \"spritesheet\""));
    }
    let job = named(&mut call).await?;
    let (blob, size, content_type) = found(&job, variant).ok_or(match job.state.is_final() {
        false => ServiceError::NotFound { what: "content of the video yet: it is not completed" },
        true => ServiceError::NotFound { what: "such content of the video" },
    })?;
    let blob = call.app.jobs.open(blob, size, content_type).await?;
    content::reply(&call.parts, Content::saved(blob, None))
}

/// Where a variant lies, if the provider gave it.
fn found<'a>(job: &'a Job, wanted: &str) -> Option<(BlobId, u64, &'a str)> {
    job.outputs.iter().find_map(|output| match output {
        StoredOutput::Media { blob, size, content_type, attributes, .. } => {
            let told = attributes.iter().find(|(name, _)| name == VARIANT).map(|(_, word)| word.as_str());
            let is_wanted = match told {
                Some(word) => word == wanted,
                None => wanted == VIDEO && is_video(content_type),
            };
            is_wanted.then_some((*blob, *size, content_type.as_str()))
        }
        StoredOutput::Text(_) | StoredOutput::Model(_) => None,
    })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let operation = Operation::new("getVideoContent", Tag::Videos, "Download a video")
        .path("id", video_id(), "The video.")
        .query(
            VARIANT,
            VariantWord::schema(),
            "`video` if it is not sent; the others are there only where the provider makes them.",
        );
    content::described(
        operation,
        "A completed video's bytes, always as an attachment. They never change: keep them by their `etag`.",
    )
}
