//! `POST /v1/images/generations`.

use atelier_domain::generation::Json;
use atelier_domain::model::Task;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::request::{blank, count, form};
use super::response;
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, body};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ImageRequest)]
struct Body {
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
    #[schema(inline, value_type = Option<super::request::FormWord>)]
    response_format: Option<String>,
    user: Option<String>,
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
    let body: Body = body::parse(&bytes)?;
    let wanted = body.response_format.as_deref().map(form).transpose()?.unwrap_or_default();
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
    request.end_user = body.user;
    if let Some(options) = body.options {
        request.options = options;
    }
    super::run(&call.app, call.caller()?, Task::ImageGeneration, request, wanted).await
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let request = json!({"model": "openai/gpt-image-1", "prompt": "A lighthouse in a storm, oil on canvas", "size": "1024x1024"});
    response::described(
        Operation::new("createImage", Tag::Images, "Make images from a text").takes::<Body>(request),
    )
}
