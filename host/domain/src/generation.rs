//! What can be asked of a provider and what comes back, one module per capability. The shapes follow the provider
//! contract (`wit/`), in the host's own types.

pub mod chat;
pub mod embedding;
pub mod media;
pub mod moderation;
pub mod speech;
pub mod transcription;
pub mod usage;

use serde_json::value::RawValue;

use crate::blob::Blob;

/// A JSON text that was checked to be well-formed.
pub type Json = Box<RawValue>;

/// The empty JSON object.
pub fn empty_object() -> Json {
    RawValue::from_string("{}".to_owned()).expect("`{}` is JSON")
}

/// Where the bytes of a medium are.
#[derive(Clone, Debug)]
pub enum MediaSource {
    Blob(Blob),
    /// A public address that the provider fetches itself.
    Url(String),
}

/// An image, video, sound or document given by the caller.
#[derive(Clone, Debug)]
pub struct Media {
    pub source: MediaSource,
    /// Found by content; absent for a URL.
    pub content_type: Option<String>,
    pub name: Option<String>,
    /// How to look at it, e.g. `detail` = `low`.
    pub attributes: Vec<(String, String)>,
}

impl Media {
    /// A medium of which nothing more is known.
    pub fn new(source: MediaSource, content_type: Option<String>) -> Self {
        Self { source, content_type, name: None, attributes: Vec::new() }
    }
}

/// What the contract has no shape for.
#[derive(Clone, Debug)]
pub struct Other {
    pub kind: String,
    pub json: Json,
}
