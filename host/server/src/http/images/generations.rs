//! `POST /v1/images/generations`.

use std::num::NonZeroU32;

use atelier_domain::generation::Json;
use atelier_domain::generation::media::MediaRequest;
use atelier_domain::model::Task;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::request::{Asked, count, form};
use super::stream;
use crate::http::chat_completions::options::Options;
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, body, raw};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ImageRequest)]
struct Body<'a> {
    /// `instance/model`, or an alias of the operator's.
    model: String,
    #[schema(min_length = 1)]
    prompt: String,
    #[schema(minimum = 1, maximum = 10)]
    n: Option<u32>,
    size: Option<String>,
    quality: Option<String>,
    background: Option<String>,
    output_format: Option<String>,
    /// Absent: `b64_json`. `url` gives addresses here, which want the caller's key.
    #[schema(inline, value_type = Option<super::schema::FormWord>)]
    response_format: Option<String>,
    /// Send events as images are made.
    stream: Option<bool>,
    /// Unfinished images to show on the way; only with `stream`.
    #[schema(maximum = 3)]
    partial_images: Option<u32>,
    user: Option<String>,
    safety_identifier: Option<String>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "raw::text")]
    moderation: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<u32>)]
    #[serde(default, deserialize_with = "raw::count")]
    output_compression: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "raw::text")]
    style: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "raw::text")]
    complexity: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<u32>)]
    #[serde(default, deserialize_with = "raw::count")]
    frame_count: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<u32>)]
    #[serde(default, deserialize_with = "raw::count")]
    frame_duration_ms: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<Value>)]
    svg: Option<&'a RawValue>,
    /// Ours.
    negative_prompt: Option<String>,
    /// Ours.
    seed: Option<i64>,
    /// Ours.
    aspect_ratio: Option<String>,
    /// Ours: provider-specific options by the model's own schema.
    #[schema(value_type = Option<Object>)]
    options: Option<Json>,
}

/// Makes images from a text.
pub(in crate::http) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let asked = read(body::parse(&bytes)?)?;
    super::run(call, Task::ImageGeneration, asked).await
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
    let mut request = MediaRequest::new(body.model, Task::ImageGeneration);
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

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let request = json!({"model": "openai/gpt-image-1", "prompt": "A lighthouse in a storm, oil on canvas", "size": "1024x1024"});
    stream::described(
        Operation::new("createImage", Tag::Images, "Make images from a text").takes::<Body<'_>>(request),
    )
}
