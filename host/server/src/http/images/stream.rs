//! Images as they are made: unfinished ones where the provider shows them, then each finished one. A provider that shows none
//! gives the finished ones alone.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::generation::media::Preview;
use atelier_domain::id::JobId;
use atelier_domain::job::{Job, StoredOutput};
use atelier_domain::model::Task;
use atelier_service::ServiceError;
use atelier_service::caller::Caller;
use atelier_service::jobs::time_for;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, stream};
use serde::Serialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::response::{self, Usage, attribute, encoded, output_format};
use crate::app::App;
use crate::http::openapi::{Operation, words};
use crate::http::{ApiError, Dialect, Reply, sse};

const HEARTBEAT_AFTER: Duration = Duration::from_secs(15);

/// An unfinished image.
#[derive(Serialize, ToSchema)]
#[schema(as = PartialImageEvent)]
struct Partial<'a> {
    #[schema(inline, value_type = PartialWord)]
    r#type: &'a str,
    b64_json: String,
    /// Counts the unfinished images from 0.
    partial_image_index: u32,
    /// Unix seconds.
    created_at: u64,
    size: &'a str,
    quality: &'a str,
    background: &'a str,
    output_format: &'a str,
}

/// A finished image.
#[derive(Serialize, ToSchema)]
#[schema(as = CompletedImageEvent)]
struct Completed<'a> {
    #[schema(inline, value_type = CompletedWord)]
    r#type: &'a str,
    b64_json: String,
    /// Unix seconds.
    created_at: u64,
    size: &'a str,
    quality: &'a str,
    background: &'a str,
    output_format: &'a str,
    usage: &'a Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_identifier: Option<&'a str>,
}

/// An event of a stream of images.
#[derive(ToSchema)]
#[schema(as = ImageEvent)]
#[serde(untagged)]
#[expect(dead_code, reason = "the schema of events that are written one by one")]
enum Event<'a> {
    Partial(Partial<'a>),
    Completed(Completed<'a>),
}

words! {
    PartialWord: "image_generation.partial_image" | "image_edit.partial_image";
    CompletedWord: "image_generation.completed" | "image_edit.completed";
}

/// What the reference says of operations that make images, whole or in events.
pub(super) fn described(operation: Operation) -> Operation {
    const EVENTS: &str = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\
        \"b64_json\":\"iVBORw0KGgo…\",\"partial_image_index\":0,\"created_at\":1795305600,\"size\":\"1024x1024\",\
        \"quality\":\"high\",\"background\":\"opaque\",\"output_format\":\"png\"}\n\n";
    response::described(operation).or_events::<Event<'_>>(EVENTS)
}

/// How the events are written.
pub(super) struct Script {
    task: Task,
    created_at: u64,
    size: String,
    quality: String,
    background: String,
    safety_identifier: Option<String>,
}

impl Script {
    pub(super) fn new(task: Task, job: &Job, safety_identifier: Option<String>) -> Self {
        let or_auto = |asked: &Option<String>| asked.clone().unwrap_or_else(|| "auto".to_owned());
        Self {
            task,
            created_at: job.created.unix_seconds(),
            size: or_auto(&job.request.size),
            quality: or_auto(&job.request.quality),
            background: or_auto(&job.request.background),
            safety_identifier,
        }
    }

    fn name(&self, what: &str) -> String {
        let kind = if self.task == Task::ImageEdit { "image_edit" } else { "image_generation" };
        format!("{kind}.{what}")
    }

    fn partial(&self, preview: &Preview, out: &mut Vec<u8>) {
        let name = self.name("partial_image");
        let format = preview.content_type.strip_prefix("image/").unwrap_or("png");
        let event = Partial {
            r#type: &name,
            b64_json: STANDARD.encode(&preview.bytes),
            partial_image_index: preview.index,
            created_at: self.created_at,
            size: &self.size,
            quality: &self.quality,
            background: &self.background,
            output_format: format,
        };
        sse::named(out, &name, &event);
    }

    fn completed(&self, output: &StoredOutput, image: String, usage: &Usage, out: &mut Vec<u8>) {
        let name = self.name("completed");
        let event = Completed {
            r#type: &name,
            b64_json: image,
            created_at: self.created_at,
            size: attribute(output, "size").unwrap_or(&self.size),
            quality: attribute(output, "quality").unwrap_or(&self.quality),
            background: attribute(output, "background").unwrap_or(&self.background),
            output_format: output_format(output).unwrap_or("png"),
            usage,
            safety_identifier: self.safety_identifier.as_deref(),
        };
        sse::named(out, &name, &event);
    }

    /// The events of a job at its end.
    async fn end(&self, app: &App, job: &Job) -> Result<Vec<u8>, ApiError> {
        super::succeeded(job, self.task)?;
        let usage = Usage::of(&job.usage);
        let mut out = Vec::new();
        for output in &job.outputs {
            let StoredOutput::Media { blob, size, content_type, .. } = output else { continue };
            let image = encoded(app, *blob, *size, content_type).await?;
            self.completed(output, image, &usage, &mut out);
        }
        Ok(out)
    }
}

/// A stream on its way.
struct Events {
    app: Arc<App>,
    request_id: Arc<str>,
    script: Script,
    previews: mpsc::Receiver<Preview>,
    /// Absent once it has ended.
    job: Option<BoxFuture<'static, Result<Job, ServiceError>>>,
}

impl Events {
    /// The next frame.
    async fn next(mut self) -> Option<(Result<Bytes, std::convert::Infallible>, Self)> {
        let job = self.job.as_mut()?;
        let mut out = Vec::new();
        tokio::select! {
            // What was shown before the end comes before the end.
            biased;
            Some(preview) = self.previews.recv() => self.script.partial(&preview, &mut out),
            ended = job => {
                self.job = None;
                let end = match ended {
                    Ok(job) => self.script.end(&self.app, &job).await,
                    Err(error) => Err(error.into()),
                };
                out = end.unwrap_or_else(|error| self.failed(&error));
            }
            () = tokio::time::sleep(HEARTBEAT_AFTER) => out.extend_from_slice(b": keep-alive\n\n"),
        }
        Some((Ok(out.into()), self))
    }

    fn failed(&self, error: &ApiError) -> Vec<u8> {
        let detail = error.internal_detail().unwrap_or_default();
        error.log(&self.request_id, "a stream failed", &detail);
        let mut out = b"event: error\ndata: ".to_vec();
        out.extend_from_slice(&error.object(Dialect::OpenAi, &self.request_id));
        out.extend_from_slice(b"\n\n");
        out
    }
}

/// Answers with a job's events as they come.
pub(super) fn reply(
    app: &Arc<App>,
    caller: &Caller,
    request_id: &Arc<str>,
    id: JobId,
    previews: mpsc::Receiver<Preview>,
    script: Script,
) -> Reply {
    let (waiting, caller, patience) = (Arc::clone(app), caller.clone(), time_for(script.task));
    let job = async move { waiting.jobs.wait(&caller, id, patience).await }.boxed();
    let (app, request_id) = (Arc::clone(app), Arc::clone(request_id));
    let events = Events { app, request_id, script, previews, job: Some(job) };
    sse::reply(Body::from_stream(stream::unfold(events, Events::next)))
}
