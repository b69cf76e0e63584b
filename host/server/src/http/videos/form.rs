//! A request for a video as a form, which is how OpenAI's libraries send it.

use atelier_domain::generation::Json;
use utoipa::ToSchema;

use super::request::{Asked, milliseconds, size};
use crate::http::files::file_id;
use crate::http::form::{Field, Form};
use crate::http::input::{self, Kind};
use crate::http::openapi::form_file;
use crate::http::{ApiError, Call};

const PICTURE: &str = "input_reference";

#[derive(ToSchema)]
#[schema(as = VideoForm)]
#[expect(dead_code, reason = "a form is read field by field; this describes it")]
pub(super) struct VideoForm {
    model: Option<String>,
    #[schema(min_length = 1)]
    prompt: String,
    /// The picture that the video begins with.
    #[schema(schema_with = form_file)]
    input_reference: Option<Vec<u8>>,
    #[schema(rename = "input_reference[file_id]", schema_with = file_id)]
    file: Option<String>,
    #[schema(rename = "input_reference[image_url]")]
    url: Option<String>,
    seconds: Option<u64>,
    size: Option<String>,
    negative_prompt: Option<String>,
    seed: Option<i64>,
    aspect_ratio: Option<String>,
    /// A JSON object.
    options: Option<String>,
}

/// Reads a form.
pub(super) async fn read(call: &mut Call) -> Result<Asked, ApiError> {
    let mut form = Form::open(call)?;
    let mut asked = Asked::new();
    while let Some(field) = form.next(&[PICTURE]).await? {
        add(&mut asked, field).await?;
    }
    if asked.request.prompt.is_none() {
        return Err(ApiError::MissingParameter { param: "prompt".to_owned() });
    }
    Ok(asked)
}

async fn add(asked: &mut Asked, field: Field) -> Result<(), ApiError> {
    let text = || field.text().map(str::to_owned);
    if field.name.starts_with(PICTURE) && !(asked.file.is_none() && asked.request.inputs.is_empty()) {
        return Err(ApiError::invalid(PICTURE, "one picture"));
    }
    match field.name.as_str() {
        PICTURE => {
            let bytes = field.bytes.clone();
            // Hashing megabytes would hold up an async thread.
            let typed =
                tokio::task::spawn_blocking(move || input::media(PICTURE, bytes, Kind::Image, None)).await;
            asked.begin_with(typed.map_err(|error| ApiError::bug(error.to_string()))??);
        }
        "input_reference[file_id]" => asked.refer(Some(field.text()?), None)?,
        "input_reference[image_url]" => asked.refer(None, Some(field.text()?))?,
        "model" => asked.request.model = text()?,
        "prompt" => asked.request.prompt = Some(text()?),
        "seconds" => asked.request.duration_ms = Some(milliseconds(field.text()?.trim())?),
        "size" => asked.request.size = Some(size(field.text()?)?),
        "negative_prompt" => asked.request.negative_prompt = Some(text()?),
        "seed" => asked.request.seed = Some(field.parse("a whole number")?),
        "aspect_ratio" => asked.request.aspect_ratio = Some(text()?),
        "options" => {
            let options: Result<Json, _> = serde_json::from_str(field.text()?);
            asked.request.options =
                options.map_err(|error| ApiError::invalid("options", error.to_string()))?;
        }
        _ => return Err(ApiError::UnknownParameter { param: field.name }),
    }
    Ok(())
}
