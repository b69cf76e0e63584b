//! Pictures that users send, unpacked within bounds: of bytes, of pixels, and of the memory that decoding takes.

use std::io::Cursor;

use atelier_domain::blob::Blob;
use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits};

/// Of an image that is looked at.
const SOURCE_BYTES_MAX: u64 = 64 << 20;
const SOURCE_SIDE_MAX: u32 = 32_768;
const SOURCE_PIXELS_MAX: u64 = 40_000_000;
/// Memory that decoding takes.
const DECODER_BYTES_MAX: u64 = 192 << 20;

/// A PNG, JPEG, WebP or GIF, upright: of an animation the first picture. Blocks.
///
/// # Errors
/// What is wrong with it, for whoever sent it.
pub fn decode(source: &Blob) -> Result<DynamicImage, String> {
    if source.size > SOURCE_BYTES_MAX {
        return Err(format!("it has {} bytes; at most {SOURCE_BYTES_MAX} are read", source.size));
    }
    let size = usize::try_from(source.size).unwrap_or(usize::MAX);
    let bytes = source.read(0, size).map_err(|error| format!("it cannot be read: {error}"))?;
    decode_bytes(&bytes).map_err(|error| error.to_string())?
}

fn decode_bytes(bytes: &[u8]) -> image::ImageResult<Result<DynamicImage, String>> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut decoder = reader.into_decoder()?;
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(SOURCE_SIDE_MAX);
    limits.max_image_height = Some(SOURCE_SIDE_MAX);
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    // A head that promises too much is refused before anything is unpacked.
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > SOURCE_PIXELS_MAX || decoder.total_bytes() > DECODER_BYTES_MAX {
        return Ok(Err(format!("it has {width} by {height} pixels")));
    }
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(Ok(image))
}
