//! A video as OpenAI's API writes it.

use atelier_domain::event::percent;
use atelier_domain::job::{Job, JobState, StoredOutput};
use atelier_service::jobs::made_by;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::video_id;
use crate::http::openapi::{null, words};
use crate::http::prefix;

#[derive(Serialize, ToSchema)]
#[schema(as = Video)]
pub(super) struct VideoView<'a> {
    #[schema(schema_with = video_id)]
    id: String,
    #[schema(inline, value_type = VideoWord)]
    object: &'static str,
    /// By its full id.
    model: &'a str,
    #[schema(inline, value_type = StatusWord)]
    status: &'static str,
    /// In percent, as far as the provider tells it.
    #[schema(maximum = 100)]
    progress: u8,
    /// Unix seconds.
    created_at: u64,
    /// Unix seconds.
    #[schema(required)]
    completed_at: Option<u64>,
    /// Always `null`: it stays until it is deleted.
    #[schema(schema_with = null)]
    expires_at: (),
    #[schema(required)]
    error: Option<VideoError<'a>>,
    #[schema(required)]
    prompt: Option<&'a str>,
    /// As the provider tells it, or as it was asked for; `null` where neither is known.
    #[schema(required)]
    seconds: Option<String>,
    /// The same of its size.
    #[schema(required)]
    size: Option<&'a str>,
    /// The video that it is another version of.
    #[schema(required)]
    remixed_from_video_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = VideoError)]
struct VideoError<'a> {
    code: &'a str,
    message: &'a str,
}

words! {
    VideoWord: "video";
    StatusWord: "queued" | "in_progress" | "completed" | "failed";
}

/// A video, for the reference.
pub(super) fn sample(status: &str) -> Value {
    json!({"id": "video_019ab0c3e5f07d0aa1b2c3d4e5f60718", "object": "video", "model": "replicate/minimax/video-01",
        "status": status, "progress": if status == "completed" { 100 } else { 0 }, "created_at": 1_795_305_600,
        "completed_at": null, "expires_at": null, "error": null, "prompt": "A lighthouse in a storm", "seconds": "4",
        "size": "1280x720", "remixed_from_video_id": null})
}

impl<'a> From<&'a Job> for VideoView<'a> {
    fn from(job: &'a Job) -> Self {
        let canceled = VideoError { code: "canceled", message: "it was canceled" };
        let error = match (job.state, &job.error) {
            (JobState::Canceled, _) => Some(canceled),
            (_, error) => {
                error.as_ref().map(|error| VideoError { code: &error.code, message: &error.message })
            }
        };
        let told = |name: &str| {
            let attributes = job.outputs.iter().find_map(|output| match output {
                StoredOutput::Media { attributes, .. } => Some(attributes),
                StoredOutput::Text(_) | StoredOutput::Model(_) => None,
            });
            attributes?.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
        };
        let asked = job.request.duration_ms.map(|ms| ms.div_ceil(1000).to_string());
        Self {
            id: prefix::of(prefix::VIDEO, &job.id.simple()),
            object: "video",
            model: &job.request.model,
            status: match job.state {
                JobState::Queued => "queued",
                JobState::Processing => "in_progress",
                JobState::Succeeded => "completed",
                JobState::Failed | JobState::Canceled => "failed",
            },
            progress: if job.state == JobState::Succeeded { 100 } else { percent(job) },
            created_at: job.created.unix_seconds(),
            completed_at: job
                .finished
                .filter(|_| job.state == JobState::Succeeded)
                .map(|moment| moment.unix_seconds()),
            expires_at: (),
            error,
            prompt: job.request.prompt.as_deref(),
            seconds: told("seconds").map(str::to_owned).or(asked),
            size: told("size").or(job.request.size.as_deref()),
            remixed_from_video_id: made_by(&job.request.inputs)
                .map(|source| prefix::of(prefix::VIDEO, &source.simple())),
        }
    }
}
