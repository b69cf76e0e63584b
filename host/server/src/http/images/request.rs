//! What image requests have in common.

use atelier_domain::generation::media::{MediaInput, MediaRequest};
use atelier_domain::generation::{Json, empty_object};
use atelier_domain::model::Task;
use bytes::Bytes;
use utoipa::ToSchema;

use crate::http::form::{Field, Form as Multipart};
use crate::http::input::{self, Kind};
use crate::http::openapi::{form_file, words};
use crate::http::{ApiError, Call};

const COUNT_MAX: u32 = 10;
const IMAGES_MAX: usize = 16;

/// How images are given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    #[default]
    Base64,
    /// Addresses of ours, which want the caller's key.
    Url,
}

pub(super) fn form(text: &str) -> Result<Form, ApiError> {
    match text {
        "b64_json" => Ok(Form::Base64),
        "url" => Ok(Form::Url),
        _ => Err(ApiError::invalid("response_format", "must be \"b64_json\" or \"url\"")),
    }
}

pub(super) fn count(n: Option<u32>) -> Result<u32, ApiError> {
    match n.unwrap_or(1) {
        n @ 1..=COUNT_MAX => Ok(n),
        _ => Err(ApiError::invalid("n", format!("must be from 1 to {COUNT_MAX}"))),
    }
}

/// A request with nothing but a model and a task.
pub(super) fn blank(model: String, task: Task) -> MediaRequest {
    MediaRequest {
        model,
        task: task.as_str().to_owned(),
        prompt: None,
        negative_prompt: None,
        inputs: Vec::new(),
        count: 1,
        size: None,
        aspect_ratio: None,
        duration_ms: None,
        seed: None,
        quality: None,
        format: None,
        background: None,
        end_user: None,
        options: empty_object(),
    }
}

/// The fields of a form with images.
// As `add` reads them.
#[derive(ToSchema)]
#[schema(as = ImageForm)]
#[expect(dead_code, reason = "the schema of what is read field by field")]
pub(super) struct FormSchema {
    /// 1 to 16 images; send the field again for each.
    #[schema(schema_with = form_file)]
    image: Bytes,
    /// Where the image may change: its transparent parts.
    #[schema(schema_with = form_file)]
    mask: Option<Bytes>,
    /// `instance/model`, or an alias of the operator's.
    model: String,
    /// Needed for an edit.
    prompt: Option<String>,
    #[schema(minimum = 1, maximum = 10)]
    n: Option<u32>,
    size: Option<String>,
    quality: Option<String>,
    background: Option<String>,
    output_format: Option<String>,
    /// Absent: `b64_json`. `url` gives addresses here, which want the caller's key.
    #[schema(inline, value_type = Option<FormWord>)]
    response_format: Option<String>,
    user: Option<String>,
    /// Ours.
    negative_prompt: Option<String>,
    /// Ours.
    seed: Option<i64>,
    /// Ours: provider-specific options by the model's own schema, as JSON.
    options: Option<String>,
}

words! {
    FormWord: "b64_json" | "url";
}

/// Reads the form of an edit or a variation.
pub(super) async fn read_form(call: &mut Call, task: Task) -> Result<(MediaRequest, Form), ApiError> {
    let mut form = Multipart::open(call)?;
    let mut request = blank(String::new(), task);
    let mut wanted = Form::default();
    while let Some(field) = form.next(&["image", "mask"]).await? {
        add(&mut request, &mut wanted, field).await?;
    }
    let missing = |param: &str| Err(ApiError::MissingParameter { param: param.to_owned() });
    if request.model.is_empty() {
        return missing("model");
    }
    if !request.inputs.iter().any(|input| input.role == "image") {
        return missing("image");
    }
    if task == Task::ImageEdit && request.prompt.is_none() {
        return missing("prompt");
    }
    Ok((request, wanted))
}

async fn add(request: &mut MediaRequest, wanted: &mut Form, field: Field) -> Result<(), ApiError> {
    let text = || field.text().map(str::to_owned);
    match field.name.as_str() {
        "image" | "mask" => {
            if request.inputs.len() >= IMAGES_MAX {
                return Err(ApiError::invalid("image", format!("at most {IMAGES_MAX} images")));
            }
            let (role, bytes) = (field.name.clone(), field.bytes.clone());
            request.inputs.push(MediaInput { media: image(role.clone(), bytes).await?, role });
        }
        "model" => request.model = text()?,
        "prompt" => request.prompt = Some(text()?),
        "n" => request.count = count(Some(field.parse("a whole number")?))?,
        "size" => request.size = Some(text()?),
        "quality" => request.quality = Some(text()?),
        "background" => request.background = Some(text()?),
        "output_format" => request.format = Some(text()?),
        "response_format" => *wanted = form(field.text()?)?,
        "user" => request.end_user = Some(text()?),
        "negative_prompt" => request.negative_prompt = Some(text()?),
        "seed" => request.seed = Some(field.parse("a whole number")?),
        "options" => {
            let options: Result<Json, _> = serde_json::from_str(field.text()?);
            request.options = options.map_err(|error| ApiError::invalid("options", error.to_string()))?;
        }
        _ => return Err(ApiError::UnknownParameter { param: field.name }),
    }
    Ok(())
}

/// Hashing megabytes would hold up an async thread.
async fn image(param: String, bytes: Bytes) -> Result<atelier_domain::generation::Media, ApiError> {
    let typed = tokio::task::spawn_blocking(move || input::media(&param, bytes, Kind::Image, None));
    typed.await.map_err(|error| ApiError::bug(error.to_string()))?
}
