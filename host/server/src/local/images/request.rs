//! What a job wants of a model.

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

/// The options as JSON Schema (2020-12).
pub(in super::super) fn schema(_: ImageFamily) -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": {}})
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
        };
        let source = image
            .as_ref()
            .map(|blob: &Blob| Source { blob: blob.id, content_type: blob.content_type.clone() });
        Ok((Self { model, source, count: request.count, format, size, work }, image))
    }

    /// Refuse a size that the model does not make of this image.
    pub(super) fn check_size(&self, info: &ImageInfo, image: Option<&Picture>) -> Result<(), ProviderError> {
        let made = match (info, image) {
            (ImageInfo::Upscaler(info), Some(image)) => {
                (image.width() * info.scale, image.height() * info.scale)
            }
            (ImageInfo::Generator(info), _) => (info.side, info.side),
            (ImageInfo::Upscaler(_), None) => return Err(internal("its image is missing".to_owned())),
        };
        match self.size.is_none_or(|wanted| wanted == made) {
            true => Ok(()),
            false => {
                Err(refused(format!("{} makes a picture of {}x{} here", self.model, made.0, made.1), "size"))
            }
        }
    }

    /// One request of the engine for each picture.
    pub(super) fn requests(&self, image: Option<Picture>) -> Result<Vec<ImageRequest>, ProviderError> {
        match (&self.work, image) {
            (Work::Upscale, Some(image)) => Ok(vec![ImageRequest::Upscale(image)]),
            (Work::Generate { seed }, _) => {
                let seeds = (0..u64::from(self.count)).map(|index| seed.wrapping_add(index));
                Ok(seeds.map(|seed| ImageRequest::Generate { seed }).collect())
            }
            (Work::Upscale, None) => Err(internal("its image is missing".to_owned())),
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
