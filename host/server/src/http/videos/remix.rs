//! `POST /v1/videos/{id}/remix`.

use atelier_domain::generation::media::MediaRequest;
use atelier_domain::model::Task;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{VideoView, sample};
use super::{named, video_id};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer, body};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VideoRemixRequest)]
struct Body {
    #[schema(min_length = 1)]
    prompt: String,
}

/// Makes a video anew, by the model that made it.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let Body { prompt } = body::parse(&bytes)?;
    // What it was made of may be gone by now.
    if let Some(job) = call.app.jobs.admitted_before(call.caller()?).await? {
        return answer::json(&VideoView::from(&job));
    }
    let source = named(&mut call).await?;
    let (app, caller) = (&call.app, call.caller()?);
    // A model that cannot is told before a video that is not ready.
    app.generations.resolve(caller, &source.request.model, Task::VideoRemix).await?;
    let mut request = MediaRequest::new(source.request.model.clone(), Task::VideoRemix);
    request.prompt = Some(prompt);
    request.inputs = vec![app.jobs.source_video(&source).await?];
    let job = app.jobs.admit(caller, Task::VideoRemix, request).await?;
    answer::json(&VideoView::from(&job))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("remixVideo", Tag::Videos, "Make a video anew")
        .about(
            "Begins another version of a completed video, as a new prompt says, with the model that made it. A model that cannot do \
             `video-remix` is refused with `model_cannot_do_task`, which names those that can.",
        )
        .path("id", video_id(), "A completed video.")
        .takes::<Body>(json!({"prompt": "The same at night"}))
        .answers::<VideoView<'_>>(200, "The new video, just begun.", sample("queued"))
        .calls_provider()
}
