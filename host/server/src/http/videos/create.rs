//! `POST /v1/videos`.

use atelier_domain::model::Task;
use http::header::CONTENT_TYPE;
use serde_json::json;

use super::form::{self, VideoForm};
use super::request::{Asked, Body};
use super::view::{VideoView, sample};
use crate::http::chat_completions::off_thread;
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer};

/// Begins a video.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let content_type = call.parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_form = content_type.is_some_and(|text| text.trim_start().starts_with("multipart/form-data"));
    let asked = match is_form {
        true => form::read(&mut call).await?,
        false => off_thread(call.read_json().await?, Asked::read).await?,
    };
    let (app, caller) = (&call.app, call.caller()?);
    // What it was made of may be gone by now.
    if let Some(job) = app.jobs.admitted_before(caller).await? {
        return answer::json(&VideoView::from(&job));
    }
    let request = asked.complete(app, caller).await?;
    let job = app.jobs.admit(caller, Task::VideoGeneration, request).await?;
    answer::json(&VideoView::from(&job))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let request = json!({"model": "replicate/minimax/video-01", "prompt": "A lighthouse in a storm", "seconds": "4",
        "size": "1280x720"});
    Operation::new("createVideo", Tag::Videos, "Start a video")
        .about(
            "Begins a video, and answers at once. It is made in the background, also across a restart of the server: ask for it until \
             its `status` is `completed` or `failed`. It is a generation as well (`/api/v1/generations`), by the same id.",
        )
        .takes::<Body>(request)
        .or_takes_form::<VideoForm>()
        .answers::<VideoView<'_>>(200, "The video, just begun.", sample("queued"))
        .calls_provider()
}
