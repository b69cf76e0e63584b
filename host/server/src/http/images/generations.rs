//! `POST /v1/images/generations`.

use std::num::NonZeroU32;

use atelier_domain::generation::Json;
use atelier_domain::model::Task;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::request::{Asked, blank, count, form};
use crate::http::chat_completions::options::Options;
use crate::http::{ApiError, Call, Reply, body};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    model: String,
    prompt: String,
    n: Option<u32>,
    size: Option<String>,
    quality: Option<String>,
    background: Option<String>,
    output_format: Option<String>,
    response_format: Option<String>,
    stream: Option<bool>,
    partial_images: Option<u32>,
    user: Option<String>,
    safety_identifier: Option<String>,
    #[serde(borrow)]
    moderation: Option<&'a RawValue>,
    #[serde(borrow)]
    output_compression: Option<&'a RawValue>,
    #[serde(borrow)]
    style: Option<&'a RawValue>,
    #[serde(borrow)]
    complexity: Option<&'a RawValue>,
    #[serde(borrow)]
    frame_count: Option<&'a RawValue>,
    #[serde(borrow)]
    frame_duration_ms: Option<&'a RawValue>,
    #[serde(borrow)]
    svg: Option<&'a RawValue>,
    /// Ours.
    negative_prompt: Option<String>,
    /// Ours.
    seed: Option<i64>,
    /// Ours.
    aspect_ratio: Option<String>,
    /// Ours: provider-specific options by the model's own schema.
    options: Option<Json>,
}

/// Makes images from a text.
pub(in crate::http) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let asked = read(body::parse(&bytes)?)?;
    super::run(&call.app, call.caller()?, &call.request_id, Task::ImageGeneration, asked).await
}

fn read(body: Body<'_>) -> Result<Asked, ApiError> {
    let mut options = Options::of(body.options);
    for (name, value) in [
        ("moderation", body.moderation),
        ("output_compression", body.output_compression),
        ("style", body.style),
        ("complexity", body.complexity),
        ("frame_count", body.frame_count),
        ("frame_duration_ms", body.frame_duration_ms),
        ("svg", body.svg),
    ] {
        options.want(name, value);
    }
    let mut request = blank(body.model, Task::ImageGeneration);
    request.prompt = Some(body.prompt);
    request.negative_prompt = body.negative_prompt;
    request.count = count(body.n)?;
    request.size = body.size;
    request.aspect_ratio = body.aspect_ratio;
    request.seed = body.seed;
    request.quality = body.quality;
    request.background = body.background;
    request.format = body.output_format;
    let mut asked = Asked::new(request);
    asked.form = body.response_format.as_deref().map(form).transpose()?.unwrap_or_default();
    asked.stream = body.stream.unwrap_or(false);
    asked.partial_images = body.partial_images.and_then(NonZeroU32::new);
    (asked.user, asked.safety_identifier) = (body.user, body.safety_identifier);
    asked.options = options;
    Ok(asked)
}
