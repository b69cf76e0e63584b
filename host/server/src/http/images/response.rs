//! The images of a job as OpenAI's API writes them.

use atelier_domain::generation::usage::TokenTotals;
use atelier_domain::job::{Job, StoredOutput};
use atelier_service::ServiceError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::request::Form;
use crate::app::App;
use crate::http::openapi::Operation;
use crate::http::{ApiError, Reply, answer};

/// Images in one answer; larger ones are had by their address.
const INLINE_BYTES_MAX: u64 = 64 << 20;

#[derive(Serialize, ToSchema)]
#[schema(as = ImageList)]
struct Images<'a> {
    /// Unix seconds.
    created: u64,
    data: Vec<Image<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Image)]
struct Image<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    b64_json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revised_prompt: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ImageUsage)]
struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
}

/// Writes the answer.
pub(super) async fn write(app: &App, job: &Job, form: Form) -> Result<Reply, ApiError> {
    let media_bytes: u64 = job.outputs.iter().map(size_of).sum();
    if form == Form::Base64 && media_bytes > INLINE_BYTES_MAX {
        let message = "the images are too large for one answer; ask for \"url\"";
        return Err(ApiError::invalid("response_format", message));
    }
    let mut data = Vec::with_capacity(job.outputs.len());
    for (i, output) in job.outputs.iter().enumerate() {
        let StoredOutput::Media { blob, content_type, revised_prompt, .. } = output else { continue };
        let revised_prompt = revised_prompt.as_deref();
        match form {
            Form::Url => {
                let listen = || format!("http://{}", app.config.server.listen);
                let base = app.config.server.public_url.clone().unwrap_or_else(listen);
                let url = Some(format!("{base}/api/v1/generations/{}/outputs/{i}", job.id));
                data.push(Image { b64_json: None, url, revised_prompt });
            }
            Form::Base64 => {
                let opened = app.jobs.open(*blob, content_type).await?;
                let blob = opened.ok_or(ServiceError::NotFound { what: "such output" })?;
                let read = tokio::task::spawn_blocking(move || {
                    blob.read(0, usize::try_from(blob.size).unwrap_or(usize::MAX))
                        .map(|bytes| STANDARD.encode(bytes))
                });
                let encoded = read.await.map_err(|error| ApiError::bug(error.to_string()))?;
                let b64_json = Some(encoded.map_err(ServiceError::from)?);
                data.push(Image { b64_json, url: None, revised_prompt });
            }
        }
    }
    let totals = TokenTotals::of(&job.usage);
    let usage = (totals != TokenTotals::default()).then(|| Usage {
        input_tokens: totals.input,
        output_tokens: totals.output,
        total_tokens: totals.input + totals.output,
    });
    answer::json(&Images { created: job.created.unix_seconds(), data, usage })
}

fn size_of(output: &StoredOutput) -> u64 {
    match output {
        StoredOutput::Media { size, .. } => *size,
        StoredOutput::Text(_) | StoredOutput::Model(_) => 0,
    }
}

/// What the reference says of every operation that makes images.
pub(super) fn described(operation: Operation) -> Operation {
    let images = json!({"created": 1_795_305_600, "data": [{"b64_json": "iVBORw0KGgo…"}]});
    operation
        .about("Runs a job and waits for its images. A caller who leaves does not stop it: `GET /api/v1/generations` has it.")
        .answers::<Images<'_>>(200, "The images.", images)
        .refuses(&[409])
        .calls_provider()
}
