//! A generation with what was asked for in full: its owner's list shows less.

use atelier_domain::job::{Job, StoredInput, StoredSource};
use serde::Serialize;
use serde_json::value::RawValue;

use super::sections::extension;
use crate::http::generations::view::JobView;

#[derive(Serialize)]
pub(super) struct GenerationView<'a> {
    #[serde(flatten)]
    job: JobView<'a>,
    request: RequestView<'a>,
}

#[derive(Serialize)]
struct RequestView<'a> {
    negative_prompt: Option<&'a str>,
    count: u32,
    size: Option<&'a str>,
    aspect_ratio: Option<&'a str>,
    duration_ms: Option<u64>,
    seed: Option<i64>,
    quality: Option<&'a str>,
    format: Option<&'a str>,
    background: Option<&'a str>,
    end_user: Option<&'a str>,
    /// Of the provider's own.
    options: Option<&'a RawValue>,
    inputs: Vec<InputView<'a>>,
}

#[derive(Serialize)]
struct InputView<'a> {
    role: &'a str,
    name: Option<&'a str>,
    content_type: Option<&'a str>,
    /// Where it is in the archive.
    content: Option<String>,
    /// Where it was to be fetched.
    url: Option<&'a str>,
}

/// Where an input's content is in the archive.
pub(super) fn input_name(job: &Job, index: usize, input: &StoredInput) -> String {
    let extension = extension(input.content_type.as_deref().unwrap_or_default());
    format!("generations/{}/input-{index}.{extension}", job.id)
}

impl<'a> From<&'a Job> for GenerationView<'a> {
    fn from(job: &'a Job) -> Self {
        let asked = &job.request;
        let input = |(index, input): (usize, &'a StoredInput)| {
            let (content, url) = match &input.source {
                StoredSource::Blob { .. } => (Some(input_name(job, index, input)), None),
                StoredSource::Url(url) => (None, Some(url.as_str())),
            };
            let (name, content_type) = (input.name.as_deref(), input.content_type.as_deref());
            InputView { role: &input.role, name, content_type, content, url }
        };
        Self {
            job: JobView::from(job),
            request: RequestView {
                negative_prompt: asked.negative_prompt.as_deref(),
                count: asked.count,
                size: asked.size.as_deref(),
                aspect_ratio: asked.aspect_ratio.as_deref(),
                duration_ms: asked.duration_ms,
                seed: asked.seed,
                quality: asked.quality.as_deref(),
                format: asked.format.as_deref(),
                background: asked.background.as_deref(),
                end_user: asked.end_user.as_deref(),
                options: serde_json::from_str(&asked.options).ok(),
                inputs: asked.inputs.iter().enumerate().map(input).collect(),
            },
        }
    }
}
