//! `DELETE /v1/videos/{id}`.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{named, video_id};
use crate::http::openapi::{Operation, Tag, words};
use crate::http::{ApiError, Call, Reply, answer, prefix};

/// How long the answer waits for the provider to end a video that is being made.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Serialize, ToSchema)]
#[schema(as = DeletedVideo)]
struct Deleted {
    #[schema(schema_with = video_id)]
    id: String,
    #[schema(inline, value_type = DeletedWord)]
    object: &'static str,
    /// Always `true`.
    deleted: bool,
}

words! {
    DeletedWord: "video.deleted";
}

/// Deletes one of the caller's videos; one that is being made is cancelled first.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let job = named(&mut call).await?;
    let (jobs, caller) = (&call.app.jobs, call.caller()?);
    if !job.state.is_final() {
        jobs.cancel(caller, job.id).await?;
        jobs.wait(caller, job.id, PATIENCE).await?;
    }
    jobs.erase(caller, job.id).await?;
    let id = prefix::of(prefix::VIDEO, &job.id.simple());
    answer::json(&Deleted { id, object: "video.deleted", deleted: true })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("deleteVideo", Tag::Videos, "Delete a video")
        .about(
            "Deletes a video and what it was made of. One that is still being made is cancelled; where its provider does not end it at \
             once, the answer is 409: delete it again. What it cost stays in the books.",
        )
        .path("id", video_id(), "The video.")
        .answers::<Deleted>(
            200,
            "It is deleted.",
            json!({"id": "video_019ab0c3e5f07d0aa1b2c3d4e5f60718", "object": "video.deleted", "deleted": true}),
        )
        .refuses(&[404, 409])
}
