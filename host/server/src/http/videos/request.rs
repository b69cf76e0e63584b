//! What a request for a video asks for, however it is sent.

use atelier_domain::generation::Json;
use atelier_domain::generation::media::{MediaInput, MediaRequest};
use atelier_domain::model::Task;
use atelier_service::caller::Caller;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::files::optional_file_id;
use crate::http::files::used::{self, Named};
use crate::http::input::{self, Kind};
use crate::http::{ApiError, body};

/// As OpenAI's API has it: an operator may give the name to any model that makes videos.
const MODEL_USUAL: &str = "sora-2";
/// An hour: no provider makes longer ones.
const SECONDS_MAX: u64 = 3_600;
const SIDE_MAX: u32 = 16_384;
/// The role of the picture that a video begins with (see `wit/`).
const FIRST_FRAME: &str = "first-frame";

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VideoRequest)]
pub(super) struct Body {
    /// `instance/model`, or an alias of the operator's; `sora-2` if it is not sent.
    model: Option<String>,
    #[schema(min_length = 1)]
    prompt: String,
    /// What the video begins with.
    input_reference: Option<Reference>,
    /// As a text or a number.
    #[schema(inline)]
    seconds: Option<Seconds>,
    /// `WIDTHxHEIGHT` in pixels.
    #[schema(pattern = "^[0-9]{1,5}x[0-9]{1,5}$")]
    size: Option<String>,
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

/// One of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VideoInputReference)]
struct Reference {
    /// A picture of yours.
    #[schema(schema_with = optional_file_id)]
    file_id: Option<String>,
    /// A data URL, or an address that the provider fetches.
    image_url: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum Seconds {
    Text(String),
    Number(u64),
}

/// A request, understood; a file of the caller's is still to be had.
#[derive(Debug)]
pub(super) struct Asked {
    pub request: MediaRequest,
    pub file: Option<Named<()>>,
}

impl Asked {
    pub(super) fn new() -> Self {
        let request = MediaRequest::new(MODEL_USUAL.to_owned(), Task::VideoGeneration);
        Self { request, file: None }
    }

    /// Reads a JSON body.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        let body: Body = body::parse(bytes)?;
        let mut asked = Self::new();
        if let Some(reference) = body.input_reference {
            asked.refer(reference.file_id.as_deref(), reference.image_url.as_deref())?;
        }
        let request = &mut asked.request;
        if let Some(model) = body.model {
            request.model = model;
        }
        request.prompt = Some(body.prompt);
        request.duration_ms = match body.seconds {
            None => None,
            Some(Seconds::Text(text)) => Some(milliseconds(&text)?),
            Some(Seconds::Number(seconds)) => Some(milliseconds(&seconds.to_string())?),
        };
        request.size = body.size.as_deref().map(size).transpose()?;
        request.negative_prompt = body.negative_prompt;
        request.seed = body.seed;
        request.aspect_ratio = body.aspect_ratio;
        if let Some(options) = body.options {
            request.options = options;
        }
        Ok(asked)
    }

    /// Takes what the video is to begin with: a file of the caller's, or a picture by its address.
    pub(super) fn refer(&mut self, file: Option<&str>, url: Option<&str>) -> Result<(), ApiError> {
        let param = |member: &str| format!("input_reference.{member}");
        match (file, url) {
            (Some(id), None) => self.file = Some(Named::read(param("file_id"), id, Kind::Image, ())?),
            (None, Some(url)) => {
                let media = input::url(&param("image_url"), url, Kind::Image)?;
                self.begin_with(media);
            }
            (None, None) => return Err(ApiError::MissingParameter { param: param("image_url") }),
            (Some(_), Some(_)) => {
                return Err(ApiError::invalid(param("file_id"), "either this or `image_url`"));
            }
        }
        Ok(())
    }

    pub(super) fn begin_with(&mut self, media: atelier_domain::generation::Media) {
        self.request.inputs = vec![MediaInput { role: FIRST_FRAME.to_owned(), media }];
    }

    /// The request with the file that it names.
    pub(super) async fn complete(mut self, app: &App, caller: &Caller) -> Result<MediaRequest, ApiError> {
        if let Some(named) = self.file.take() {
            for ((), media) in used::fetch(app, caller, vec![named]).await? {
                self.begin_with(media);
            }
        }
        Ok(self.request)
    }
}

/// A length in seconds, in milliseconds.
pub(super) fn milliseconds(text: &str) -> Result<u64, ApiError> {
    match text.parse::<u64>() {
        Ok(seconds @ 1..=SECONDS_MAX) => Ok(seconds * 1000),
        Ok(_) | Err(_) => {
            let message = format!("must be a whole number of seconds from 1 to {SECONDS_MAX}");
            Err(ApiError::invalid("seconds", message))
        }
    }
}

/// A size in pixels.
pub(super) fn size(text: &str) -> Result<String, ApiError> {
    let is_side = |side: &str| side.parse().is_ok_and(|pixels: u32| (1..=SIDE_MAX).contains(&pixels));
    match text.split_once('x') {
        Some((width, height)) if is_side(width) && is_side(height) => Ok(text.to_owned()),
        _ => Err(ApiError::invalid("size", "must be WIDTHxHEIGHT in pixels, e.g. 1280x720")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Result<Asked, ApiError> {
        Asked::read(json.to_string().as_bytes())
    }

    #[test]
    fn a_length_is_a_text_or_a_number_of_seconds() {
        for seconds in [serde_json::json!("8"), serde_json::json!(8)] {
            let asked = read(serde_json::json!({"prompt": "a cat", "seconds": seconds})).expect("good");
            assert_eq!(asked.request.duration_ms, Some(8_000));
            assert_eq!(asked.request.model, MODEL_USUAL);
        }
        for bad in ["\"0\"", "0", "\"3601\"", "\"four\"", "\"-1\"", "-1", "1.5", "null_", "[]"] {
            assert!(
                Asked::read(format!("{{\"prompt\":\"a\",\"seconds\":{bad}}}").as_bytes()).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_size_is_two_sides_in_pixels() {
        assert_eq!(size("1280x720").expect("good"), "1280x720");
        for bad in ["", "x", "1280", "0x1", "1280x-1", "1280x99999", "1280x720x1", "a cat"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }
}
