//! The images of a job as OpenAI's API writes them.

use atelier_domain::blob::BlobId;
use atelier_domain::generation::usage::{TokenTotals, UsageLine};
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
    background: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_format: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_identifier: Option<&'a str>,
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

/// Token counts, by what the tokens stand for.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = ImageUsage)]
pub(super) struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    input_tokens_details: Details,
    output_tokens_details: Details,
}

#[derive(Default, Serialize, ToSchema)]
#[schema(as = ImageUsageDetails)]
struct Details {
    image_tokens: u64,
    text_tokens: u64,
}

impl Usage {
    /// The counts of a job; all zero where its provider counts no tokens.
    pub(super) fn of(lines: &[UsageLine]) -> Self {
        let totals = TokenTotals::of(lines);
        let seen = |meter: &str| {
            let is_image = |line: &&UsageLine| {
                let modality = line.attributes.iter().find(|(name, _)| name == "modality");
                line.meter == meter && modality.is_some_and(|(_, value)| value == "image")
            };
            lines.iter().filter(is_image).map(|line| line.quantity).sum::<u64>()
        };
        let details = |all: u64, image_tokens: u64| Details {
            image_tokens,
            text_tokens: all.saturating_sub(image_tokens),
        };
        Self {
            input_tokens: totals.input,
            output_tokens: totals.output,
            total_tokens: totals.input + totals.output,
            input_tokens_details: details(totals.input, seen("input-tokens")),
            output_tokens_details: details(totals.output, seen("output-tokens")),
        }
    }
}

/// Writes the answer.
pub(super) async fn write(
    app: &App,
    job: &Job,
    form: Form,
    safety_identifier: Option<&str>,
) -> Result<Reply, ApiError> {
    let media_bytes: u64 = job.outputs.iter().map(size_of).sum();
    if form == Form::Base64 && media_bytes > INLINE_BYTES_MAX {
        let message = "the images are too large for one answer; ask for \"url\"";
        return Err(ApiError::invalid("response_format", message));
    }
    let mut data = Vec::with_capacity(job.outputs.len());
    for (i, output) in job.outputs.iter().enumerate() {
        let StoredOutput::Media { blob, size, content_type, revised_prompt, .. } = output else { continue };
        let revised_prompt = revised_prompt.as_deref();
        match form {
            Form::Url => {
                let server = &app.config.server;
                let listen = || format!("{}://{}", server.transport.scheme(), server.listen);
                let base = server.public_url.clone().unwrap_or_else(listen);
                let url = Some(format!("{base}/api/v1/generations/{}/outputs/{i}", job.id));
                data.push(Image { b64_json: None, url, revised_prompt });
            }
            Form::Base64 => {
                let b64_json = Some(encoded(app, *blob, *size, content_type).await?);
                data.push(Image { b64_json, url: None, revised_prompt });
            }
        }
    }
    let first = job.outputs.first();
    let images = Images {
        created: job.created.unix_seconds(),
        data,
        background: first.and_then(|output| attribute(output, "background")),
        output_format: first.and_then(output_format),
        quality: first.and_then(|output| attribute(output, "quality")),
        size: first.and_then(|output| attribute(output, "size")),
        safety_identifier,
        usage: (TokenTotals::of(&job.usage) != TokenTotals::default()).then(|| Usage::of(&job.usage)),
    };
    answer::json(&images)
}

/// An image in base64.
pub(super) async fn encoded(
    app: &App,
    id: BlobId,
    size: u64,
    content_type: &str,
) -> Result<String, ApiError> {
    let blob = app.jobs.open(id, size, content_type).await?;
    let read = tokio::task::spawn_blocking(move || {
        let all = usize::try_from(blob.size).unwrap_or(usize::MAX);
        blob.read(0, all).map(|bytes| STANDARD.encode(bytes))
    });
    let encoded = read.await.map_err(|error| ApiError::bug(error.to_string()))?;
    Ok(encoded.map_err(ServiceError::from)?)
}

/// What the provider says of an image.
pub(super) fn attribute<'a>(output: &'a StoredOutput, name: &str) -> Option<&'a str> {
    let StoredOutput::Media { attributes, .. } = output else { return None };
    attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The API's word for an image's media type.
pub(super) fn output_format(output: &StoredOutput) -> Option<&str> {
    let StoredOutput::Media { content_type, .. } = output else { return None };
    content_type.strip_prefix("image/").map(|kind| kind.strip_suffix("+xml").unwrap_or(kind))
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
        .refuses(&[507])
}
