//! Making blobs out of bytes that a plugin has in hand.

use crate::Failure;
use crate::blobs::{Blob, create};

/// Keep some bytes as a blob.
///
/// # Errors
/// `too-large` past the plugin's budget.
pub fn keep(content_type: &str, bytes: &[u8]) -> Result<Blob, Failure> {
    let writer = create(content_type)?;
    writer.append(bytes)?;
    Ok(writer.finish()?)
}

/// The media type of an image, by its first bytes: PNG, JPEG, WebP or GIF.
pub fn image_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::image_type;

    #[test]
    fn images_are_told_by_their_first_bytes() {
        assert_eq!(image_type(b"\x89PNG\r\n\x1a\n"), Some("image/png"));
        assert_eq!(image_type(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        assert_eq!(image_type(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp"));
        assert_eq!(image_type(b"RIFF\0\0\0\0WAVE"), None);
        assert_eq!(image_type(b""), None);
    }
}
