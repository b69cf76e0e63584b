//! What a job wants of a model.

use std::collections::BTreeMap;

use atelier_domain::blob::{Blob, BlobId};
use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::generation::MediaSource;
use atelier_domain::generation::media::{MediaInput, MediaRequest};
use atelier_inference::{ImageFamily, ImageInfo, ImageRequest, Picture};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::failure::reported;
use super::internal;

/// Pictures of one job.
const COUNT_MAX: u32 = 10;
/// Of a picture whose seed nobody said: a number that any JSON reader can hold.
const SEED_BITS: u32 = 53;

/// Styles that a mix names.
const MIXED_MAX: usize = 64;

/// The options as JSON Schema (2020-12).
pub(in super::super) fn schema(family: ImageFamily) -> Value {
    let properties = match family {
        ImageFamily::RealEsrgan | ImageFamily::Dcgan => json!({}),
        ImageFamily::Style => json!({
            "style": {
                "type": "integer", "minimum": 0, "maximum": u32::MAX,
                "description": "The style, by its number from 0 up. A prompt that is a number says the same."
            },
            "styles": {
                "type": "object", "minProperties": 1, "maxProperties": MIXED_MAX,
                "propertyNames": {"pattern": "^(0|[1-9][0-9]{0,8})$"},
                "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1000},
                "description": "A mix: how much of each style, by its number, beside the others."
            }
        }),
    };
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

/// Options that the schema let pass.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    style: Option<u32>,
    #[serde(default)]
    styles: BTreeMap<u32, f32>,
}

/// How pictures are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    Png,
    Jpeg,
    Webp,
}

/// A job's image, kept by the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) blob: BlobId,
    pub(super) content_type: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Work {
    Upscale,
    /// The first picture's seed; each further one has the next.
    Generate {
        seed: u64,
    },
    /// How much of each style, by its number.
    Restyle {
        styles: BTreeMap<u32, f32>,
    },
}

/// A request that was understood.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Wanted {
    pub(super) model: String,
    pub(super) source: Option<Source>,
    pub(super) count: u32,
    pub(super) format: Format,
    /// Pixels of a line, and lines.
    size: Option<(usize, usize)>,
    work: Work,
}

impl Wanted {
    /// What a request wants of a model of this family, and the image that comes with it.
    pub(super) fn of(
        family: ImageFamily,
        request: MediaRequest,
    ) -> Result<(Self, Option<Blob>), ProviderError> {
        let model = request.model.clone();
        let refuse = |param, what: &str| Err(refused(format!("{model} {what}"), param));
        for (param, is_said) in [
            ("negative_prompt", request.negative_prompt.is_some()),
            ("aspect_ratio", request.aspect_ratio.is_some()),
            ("duration", request.duration_ms.is_some()),
            ("quality", is_special(request.quality.as_deref())),
            ("background", is_special(request.background.as_deref())),
        ] {
            if is_said {
                return refuse(param, "does not take it");
            }
        }
        let format = match request.format.as_deref() {
            None | Some("png") => Format::Png,
            Some("jpeg") => Format::Jpeg,
            Some("webp") => Format::Webp,
            Some(_) => return refuse("output_format", "gives png, jpeg or webp"),
        };
        let size = match request.size.as_deref().filter(|size| *size != "auto") {
            None => None,
            Some(text) => match size_of(text) {
                Some(size) => Some(size),
                None => return refuse("size", "takes auto, or WIDTHxHEIGHT in pixels"),
            },
        };
        let (work, image) = match family {
            ImageFamily::RealEsrgan => {
                if request.prompt.is_some() {
                    return refuse("prompt", "takes no words");
                }
                if request.count != 1 {
                    return refuse("n", "makes one picture of one");
                }
                if request.seed.is_some() {
                    return refuse("seed", "draws no numbers: the same picture comes out each time");
                }
                (Work::Upscale, Some(image(request.inputs, &model)?))
            }
            ImageFamily::Dcgan => {
                if !request.inputs.is_empty() {
                    return refuse("image", "takes no image");
                }
                if !(1..=COUNT_MAX).contains(&request.count) {
                    return refuse("n", &format!("makes 1 to {COUNT_MAX} pictures"));
                }
                let seed = match request.seed.map(u64::try_from) {
                    None => drawn()?,
                    Some(Ok(seed)) => seed,
                    Some(Err(_)) => return refuse("seed", "takes a seed from 0 up"),
                };
                (Work::Generate { seed }, None)
            }
            ImageFamily::Style => {
                if request.count != 1 {
                    return refuse("n", "makes one picture of one");
                }
                if request.seed.is_some() {
                    return refuse("seed", "draws no numbers: the same picture comes out each time");
                }
                let styles = styles(request.options.get(), request.prompt.as_deref(), &model)?;
                (Work::Restyle { styles }, Some(image(request.inputs, &model)?))
            }
        };
        let source = image
            .as_ref()
            .map(|blob: &Blob| Source { blob: blob.id, content_type: blob.content_type.clone() });
        Ok((Self { model, source, count: request.count, format, size, work }, image))
    }

    /// One request of the engine for each picture, now that its model is known.
    pub(super) fn requests(
        &self,
        info: &ImageInfo,
        image: Option<Picture>,
    ) -> Result<Vec<ImageRequest>, ProviderError> {
        let size = image.as_ref().map(|image| (image.width(), image.height()));
        let (made, requests) = match (&self.work, info, image, size) {
            (Work::Upscale, ImageInfo::Upscaler(info), Some(image), Some((width, height))) => {
                ((width * info.scale, height * info.scale), vec![ImageRequest::Upscale(image)])
            }
            (Work::Generate { seed }, ImageInfo::Generator(info), ..) => {
                let seeds = (0..u64::from(self.count)).map(|index| seed.wrapping_add(index));
                ((info.side, info.side), seeds.map(|seed| ImageRequest::Generate { seed }).collect())
            }
            (Work::Restyle { styles }, ImageInfo::Stylist(info), Some(picture), Some(size)) => {
                let weights = self.weights(styles, info.styles)?;
                (size, vec![ImageRequest::Restyle { picture, weights }])
            }
            _ => {
                return Err(internal(
                    "it was begun with another kind of model or without its image".to_owned(),
                ));
            }
        };
        match self.size.is_none_or(|wanted| wanted == made) {
            true => Ok(requests),
            false => {
                Err(refused(format!("{} makes a picture of {}x{} here", self.model, made.0, made.1), "size"))
            }
        }
    }

    fn weights(&self, styles: &BTreeMap<u32, f32>, count: usize) -> Result<Vec<f32>, ProviderError> {
        let mut weights = vec![0.0; count];
        for (style, weight) in styles {
            let place = usize::try_from(*style).ok().and_then(|style| weights.get_mut(style));
            let last = count.saturating_sub(1);
            let what =
                || refused(format!("{} has the styles 0 to {last}, and no {style}", self.model), "style");
            *place.ok_or_else(what)? = *weight;
        }
        Ok(weights)
    }
}

/// The styles that a request names, as an option or by its prompt, which some clients must send.
fn styles(options: &str, prompt: Option<&str>, model: &str) -> Result<BTreeMap<u32, f32>, ProviderError> {
    let options: Options =
        serde_json::from_str(options).map_err(|error| refused(error.to_string(), "options"))?;
    let said = prompt.and_then(|prompt| prompt.trim().parse::<u32>().ok());
    match (options.style.or(said), options.styles) {
        (Some(style), mix) if mix.is_empty() => Ok(BTreeMap::from([(style, 1.0)])),
        (None, mix) if !mix.is_empty() => Ok(mix),
        (Some(_), _) => Err(refused(format!("{model} takes either a style or a mix of them"), "styles")),
        (None, _) => {
            let message = format!(
                "{model} understands no words: say the style's number, as the prompt or as the option style"
            );
            Err(refused(message, "prompt"))
        }
    }
}

/// The one image that a job is about.
fn image(inputs: Vec<MediaInput>, model: &str) -> Result<Blob, ProviderError> {
    let [input] = <[MediaInput; 1]>::try_from(inputs)
        .map_err(|inputs| refused(format!("{model} takes one image, not {}", inputs.len()), "image"))?;
    if input.role != "image" {
        return Err(refused(format!("{model} takes an image, and no {}", input.role), "image"));
    }
    match input.media.source {
        MediaSource::Blob(blob) => Ok(blob),
        MediaSource::Url(_) => {
            Err(refused(format!("{model} fetches nothing: send the image itself"), "image"))
        }
    }
}

fn drawn() -> Result<u64, ProviderError> {
    let bits = getrandom::u64().map_err(|error| internal(format!("no random numbers: {error}")))?;
    Ok(bits >> (u64::BITS - SEED_BITS))
}

/// Whether more is wanted than what there is.
fn is_special(word: Option<&str>) -> bool {
    word.is_some_and(|word| word != "auto")
}

fn size_of(text: &str) -> Option<(usize, usize)> {
    let (width, height) = text.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

fn refused(message: String, param: &str) -> ProviderError {
    reported(FailureCode::InvalidRequest, message, Some(param))
}
