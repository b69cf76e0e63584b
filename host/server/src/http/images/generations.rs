//! `POST /v1/images/generations`.

use atelier_domain::generation::Json;
use atelier_domain::model::Task;
use serde::Deserialize;

use super::request::{blank, count, form};
use crate::http::{ApiError, Call, Reply, body};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    model: String,
    prompt: String,
    n: Option<u32>,
    size: Option<String>,
    quality: Option<String>,
    background: Option<String>,
    output_format: Option<String>,
    response_format: Option<String>,
    user: Option<String>,
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
