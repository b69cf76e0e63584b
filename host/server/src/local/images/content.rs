//! Pictures as files.

use std::io::Cursor;

use atelier_domain::blob::Blob;
use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_inference::Picture;
use image::{DynamicImage, ImageFormat, RgbImage, RgbaImage};

use super::request::Format;
use super::{internal, reported};

/// A picture that was sent, with alpha where it has it. Blocks.
pub(super) fn decode(blob: &Blob) -> Result<Picture, ProviderError> {
    let image = atelier_service::picture::decode(blob).map_err(|reason| unreadable(&reason))?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (channels, bytes) = match image.color().has_alpha() {
        true => (4, image.into_rgba8().into_raw()),
        false => (3, image.into_rgb8().into_raw()),
    };
    Picture::new(width, height, channels, bytes).ok_or_else(|| unreadable("it has no pixel"))
}

fn unreadable(reason: &str) -> ProviderError {
    reported(FailureCode::InvalidRequest, format!("the image cannot be read: {reason}"), Some("image"))
}

/// A picture as a file. Blocks.
pub(super) fn encode(picture: Picture, format: Format) -> Result<Blob, ProviderError> {
    const SIDE: &str = "a side is too long for a file";
    let side = |pixels: usize| u32::try_from(pixels).map_err(|_| internal(SIDE.to_owned()));
    let (width, height, channels) = (side(picture.width())?, side(picture.height())?, picture.channels());
    let bytes = picture.into_bytes();
    let image = match channels {
        4 => RgbaImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8),
        _ => RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8),
    };
    let image = image.ok_or_else(|| internal("a picture has another size than its bytes".to_owned()))?;
    let (kind, image) = match format {
        Format::Png => (ImageFormat::Png, image),
        Format::Webp => (ImageFormat::WebP, image),
        // It has no alpha.
        Format::Jpeg => (ImageFormat::Jpeg, DynamicImage::ImageRgb8(image.into_rgb8())),
    };
    let mut file = Vec::new();
    let written = image.write_to(&mut Cursor::new(&mut file), kind);
    written.map_err(|error| internal(format!("a picture cannot be written: {error}")))?;
    Ok(Blob::in_memory(kind.to_mime_type(), file.into()))
}
