//! What is derived from content so that it can be shown small: thumbnails of images, peaks of sounds.

use serde::{Deserialize, Serialize};

use crate::blob::BlobId;

/// What is made of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RenditionKind {
    /// A small image.
    Thumbnail,
    /// How loud a sound is from its beginning to its end.
    Peaks,
}

impl RenditionKind {
    /// All of them.
    pub const ALL: [RenditionKind; 2] = [RenditionKind::Thumbnail, RenditionKind::Peaks];

    /// Whether there is such a thing for content of a type, as far as the type tells.
    pub fn fits(self, content_type: &str) -> bool {
        match self {
            RenditionKind::Thumbnail => {
                matches!(content_type, "image/png" | "image/jpeg" | "image/webp" | "image/gif")
            }
            RenditionKind::Peaks => matches!(
                content_type,
                "audio/wav"
                    | "audio/x-wav"
                    | "audio/wave"
                    | "audio/mpeg"
                    | "audio/mp3"
                    | "audio/flac"
                    | "audio/x-flac"
                    | "audio/ogg"
            ),
        }
    }
}

/// What became of an attempt to make one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rendition {
    Made {
        blob: BlobId,
        /// In bytes.
        size: u64,
        content_type: String,
    },
    /// The content is not what its type says, or larger than is looked at. It will not be tried again.
    None { reason: String },
}
