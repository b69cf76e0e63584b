//! `GET /v1/videos/{id}`.

use super::view::{VideoView, sample};
use super::{named, video_id};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer};

/// One of the caller's videos.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let job = named(&mut call).await?;
    answer::json(&VideoView::from(&job))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getVideo", Tag::Videos, "Get a video")
        .path("id", video_id(), "The video.")
        .answers::<VideoView<'_>>(200, "The video as it is now.", sample("completed"))
        .refuses(&[404])
}
