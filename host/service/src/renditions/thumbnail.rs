//! Thumbnails of images.

use std::io::Cursor;

use atelier_domain::blob::Blob;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat};

use super::{Attempt, Made};
use crate::picture::decode;

/// The longer side of a thumbnail.
const SIDE: u32 = 512;
const JPEG_QUALITY: u8 = 80;

/// The image, upright, in a box of 512 by 512: PNG where it is transparent, else JPEG.
pub(super) fn thumbnail(source: &Blob) -> Attempt {
    let image = decode(source)?;
    let small =
        if image.width() > SIDE || image.height() > SIDE { image.thumbnail(SIDE, SIDE) } else { image };
    encode(&small).map_err(|error| error.to_string())
}

fn encode(image: &DynamicImage) -> image::ImageResult<Made> {
    let mut bytes = Vec::new();
    if image.color().has_alpha() {
        DynamicImage::ImageRgba8(image.to_rgba8())
            .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
        return Ok(Made { content_type: "image/png", bytes });
    }
    image.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))?;
    Ok(Made { content_type: "image/jpeg", bytes })
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, RgbImage, RgbaImage};

    use super::*;

    fn blob(image: &DynamicImage, format: ImageFormat) -> Blob {
        let mut bytes = Vec::new();
        image.write_to(&mut Cursor::new(&mut bytes), format).expect("written");
        Blob::in_memory(format.to_mime_type(), bytes.into())
    }

    fn size(made: &Made) -> (u32, u32) {
        let image = image::load_from_memory(&made.bytes).expect("an image");
        (image.width(), image.height())
    }

    #[test]
    fn a_large_image_is_made_small_and_a_small_one_stays() {
        let wide = DynamicImage::ImageRgb8(RgbImage::new(2_048, 1_024));
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif] {
            let wide =
                if format == ImageFormat::Gif { DynamicImage::from(wide.to_rgba8()) } else { wide.clone() };
            let made = thumbnail(&blob(&wide, format)).expect("made");
            assert_eq!(size(&made), (512, 256), "{format:?}");
        }
        let small = DynamicImage::ImageRgba8(RgbaImage::new(20, 30));
        let made = thumbnail(&blob(&small, ImageFormat::Png)).expect("made");
        assert_eq!((size(&made), made.content_type), ((20, 30), "image/png"));
        let opaque = DynamicImage::ImageLuma8(GrayImage::new(20, 30));
        assert_eq!(thumbnail(&blob(&opaque, ImageFormat::Png)).expect("made").content_type, "image/jpeg");
    }

    #[test]
    fn a_bomb_is_refused_by_its_head() {
        // Small when packed, 1.6 GB when unpacked.
        let side = 20_000_u32;
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut chunk = |kind: &[u8; 4], data: &[u8]| {
            png.extend_from_slice(&(data.len() as u32).to_be_bytes());
            let body = [&kind[..], data].concat();
            png.extend_from_slice(&body);
            png.extend_from_slice(&crc32(&body).to_be_bytes());
        };
        let head = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
        chunk(b"IHDR", &head);
        chunk(b"IDAT", b"\x78\x9c\x03\x00\x00\x00\x00\x01");
        chunk(b"IEND", b"");
        let refused = thumbnail(&Blob::in_memory("image/png", png.into()));
        assert_eq!(refused.err().as_deref(), Some("it has 20000 by 20000 pixels"));
    }

    /// CRC-32 as PNG has it (ISO 3309).
    fn crc32(bytes: &[u8]) -> u32 {
        let step = |crc: u32, byte: &u8| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
            })
        };
        !bytes.iter().fold(u32::MAX, step)
    }

    #[test]
    fn what_is_no_image_or_broken_is_none() {
        let whole = blob(&DynamicImage::ImageRgb8(RgbImage::new(64, 64)), ImageFormat::Png);
        let bytes = whole.read(0, 1 << 20).expect("in memory");
        for broken in [&b""[..], b"<svg/>", &bytes[..20], &bytes[..bytes.len() / 2]] {
            assert!(thumbnail(&Blob::in_memory("image/png", broken.to_vec().into())).is_err());
        }
    }
}
