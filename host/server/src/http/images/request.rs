//! What image requests have in common.

use std::num::NonZeroU32;

use atelier_domain::generation::media::{MediaInput, MediaRequest};
use atelier_domain::generation::{Json, Media};
use atelier_domain::model::Task;
use atelier_service::generation::options::OptionsSchema;
use bytes::Bytes;
use serde_json::value::RawValue;

use crate::http::chat_completions::options::Options;
use crate::http::form::{Field, Form as Multipart};
use crate::http::input::{self, Kind};
use crate::http::{ApiError, Call};

const COUNT_MAX: u32 = 10;
const IMAGES_MAX: usize = 16;
const PARTIAL_IMAGES_MAX: u32 = 3;

/// How images are given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    #[default]
    Base64,
    /// Addresses of ours, which want the caller's key.
    Url,
}

/// A request, understood.
#[derive(Debug)]
pub(super) struct Asked {
    pub request: MediaRequest,
    pub form: Form,
    pub stream: bool,
    pub partial_images: Option<NonZeroU32>,
    pub user: Option<String>,
    pub safety_identifier: Option<String>,
    pub options: Options,
}

impl Asked {
    pub(super) fn new(request: MediaRequest) -> Self {
        Self {
            request,
            form: Form::default(),
            stream: false,
            partial_images: None,
            user: None,
            safety_identifier: None,
            options: Options::default(),
        }
    }

    /// The request with all that was asked for in it.
    pub(super) fn complete(mut self) -> Result<Self, ApiError> {
        if self.partial_images.is_some() && !self.stream {
            return Err(ApiError::invalid("partial_images", "is only allowed with \"stream\": true"));
        }
        let previews = self.partial_images.map_or(0, NonZeroU32::get);
        if previews > PARTIAL_IMAGES_MAX {
            let message = format!("must be from 0 to {PARTIAL_IMAGES_MAX}");
            return Err(ApiError::invalid("partial_images", message));
        }
        if self.stream && self.form == Form::Url {
            return Err(ApiError::invalid("response_format", "a stream has its images inside: \"b64_json\""));
        }
        self.request.previews = previews;
        let given = self.safety_identifier.take().filter(|identifier| !identifier.is_empty());
        self.request.end_user = given.or(self.user.take());
        // All of them are wanted, so that no schema is needed to tell which to leave out; the job checks them against the model's.
        self.request.options = std::mem::take(&mut self.options).merge(&OptionsSchema::None)?;
        Ok(self)
    }
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

/// Reads the form of an edit or a variation.
pub(super) async fn read_form(call: &mut Call, task: Task) -> Result<Asked, ApiError> {
    let mut form = Multipart::open(call)?;
    let mut asked = Asked::new(MediaRequest::new(String::new(), task));
    while let Some(field) = form.next(&["image", "mask", "markup"]).await? {
        add(&mut asked, field, task).await?;
    }
    let missing = |param: &str| Err(ApiError::MissingParameter { param: param.to_owned() });
    if asked.request.model.is_empty() {
        return missing("model");
    }
    if !asked.request.inputs.iter().any(|input| input.role == "image") {
        return missing("image");
    }
    if task == Task::ImageEdit && asked.request.prompt.is_none() {
        return missing("prompt");
    }
    Ok(asked)
}

async fn add(asked: &mut Asked, field: Field, task: Task) -> Result<(), ApiError> {
    let text = || field.text().map(str::to_owned);
    let request = &mut asked.request;
    match field.name.as_str() {
        "image" | "mask" | "markup" => {
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
        "response_format" => asked.form = form(field.text()?)?,
        "user" => asked.user = Some(text()?),
        "safety_identifier" => asked.safety_identifier = Some(text()?),
        "negative_prompt" => request.negative_prompt = Some(text()?),
        "seed" => request.seed = Some(field.parse("a whole number")?),
        "stream" if task == Task::ImageEdit => asked.stream = field.parse("true or false")?,
        "partial_images" if task == Task::ImageEdit => {
            asked.partial_images = NonZeroU32::new(field.parse("a whole number")?);
        }
        "input_fidelity" if task == Task::ImageEdit => {
            asked.options.want("input_fidelity", Some(&word(field.text()?)?));
        }
        "complexity" if task == Task::ImageEdit => {
            asked.options.want("complexity", Some(&word(field.text()?)?));
        }
        "output_compression" => asked.options.want("output_compression", Some(&number(&field)?)),
        "frame_count" => asked.options.want("frame_count", Some(&number(&field)?)),
        "frame_duration_ms" => asked.options.want("frame_duration_ms", Some(&number(&field)?)),
        "options" => {
            let options: Result<Json, _> = serde_json::from_str(field.text()?);
            asked.options.own(options.map_err(|error| ApiError::invalid("options", error.to_string()))?);
        }
        _ => return Err(ApiError::UnknownParameter { param: field.name }),
    }
    Ok(())
}

fn word(text: &str) -> Result<Box<RawValue>, ApiError> {
    serde_json::value::to_raw_value(text).map_err(|error| ApiError::bug(error.to_string()))
}

fn number(field: &Field) -> Result<Box<RawValue>, ApiError> {
    let number: u64 = field.parse("a whole number")?;
    serde_json::value::to_raw_value(&number).map_err(|error| ApiError::bug(error.to_string()))
}

/// Hashing megabytes would hold up an async thread.
async fn image(param: String, bytes: Bytes) -> Result<Media, ApiError> {
    let typed = tokio::task::spawn_blocking(move || input::media(&param, bytes, Kind::Image, None));
    typed.await.map_err(|error| ApiError::bug(error.to_string()))?
}
