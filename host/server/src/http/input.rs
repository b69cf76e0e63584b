//! Media in request bodies: data URLs and base64, typed by content.

use atelier_domain::blob::Blob;
use atelier_domain::generation::{Media, MediaSource};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use utoipa::ToSchema;

use super::ApiError;

const URL_BYTES_MAX: usize = 8192;

/// What kind of medium a member takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Audio,
    Document,
}

impl Kind {
    pub(super) fn takes(self, content_type: &str) -> bool {
        match self {
            Kind::Image => content_type.starts_with("image/"),
            Kind::Audio => content_type.starts_with("audio/") || content_type.starts_with("video/"),
            Kind::Document => true,
        }
    }
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Image => "an image (PNG, JPEG, WebP, GIF)",
            Kind::Audio => "audio",
            Kind::Document => "a document",
        }
    }
}

/// How closely a model looks at an image.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ImageDetail)]
pub(super) enum Detail {
    Auto,
    Low,
    High,
    Original,
}

impl Detail {
    /// As a medium's attribute (see `wit/`).
    pub(super) fn attribute(self) -> (String, String) {
        let word = match self {
            Detail::Auto => "auto",
            Detail::Low => "low",
            Detail::High => "high",
            Detail::Original => "original",
        };
        ("detail".to_owned(), word.to_owned())
    }
}

/// A `data:` URL (RFC 2397), or an `http(s)` address that is passed on.
pub(super) fn url(param: &str, text: &str, kind: Kind) -> Result<Media, ApiError> {
    if let Some(data) = text.strip_prefix("data:") {
        let (head, encoded) =
            data.split_once(',').ok_or_else(|| ApiError::invalid(param, "the data URL has no comma"))?;
        if !head.ends_with(";base64") {
            return Err(ApiError::invalid(param, "the data URL must be base64: data:TYPE;base64,…"));
        }
        return encoded_media(param, encoded, kind, None);
    }
    if !(text.starts_with("https://") || text.starts_with("http://")) {
        return Err(ApiError::invalid(param, "must be an http(s) URL or a data URL"));
    }
    if text.len() > URL_BYTES_MAX || text.chars().any(|c| c.is_control() || c == ' ') {
        return Err(ApiError::invalid(param, "the URL is too long or malformed"));
    }
    Ok(Media::new(MediaSource::Url(text.to_owned()), None))
}

/// Base64 (RFC 4648 §4) of a medium.
pub(super) fn encoded_media(
    param: &str,
    text: &str,
    kind: Kind,
    name: Option<String>,
) -> Result<Media, ApiError> {
    let bytes =
        STANDARD.decode(text).map_err(|error| ApiError::invalid(param, format!("is not base64: {error}")))?;
    media(param, bytes.into(), kind, name)
}

/// Bytes of a medium, typed by what they are.
pub(super) fn media(param: &str, bytes: Bytes, kind: Kind, name: Option<String>) -> Result<Media, ApiError> {
    let content_type = sniff(&bytes);
    if bytes.is_empty() || !kind.takes(content_type) {
        return Err(ApiError::invalid(param, format!("the content is {content_type}, not {}", kind.word())));
    }
    let blob = Blob::in_memory(content_type, bytes);
    Ok(Media { name, ..Media::new(MediaSource::Blob(blob), Some(content_type.to_owned())) })
}

/// The media type that the content shows.
pub(super) fn sniff(bytes: &[u8]) -> &'static str {
    match infer::get(bytes) {
        Some(kind) => kind.mime_type(),
        None if std::str::from_utf8(&bytes[..bytes.len().min(1024)])
            .is_ok_and(|text| !text.contains('\0')) =>
        {
            "text/plain"
        }
        None => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_its_content_not_by_what_the_url_says() {
        let png = STANDARD.encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
        let found = url("p", &format!("data:image/jpeg;base64,{png}"), Kind::Image).expect("an image");
        assert_eq!(found.content_type.as_deref(), Some("image/png"));
        let script = STANDARD.encode(b"<script>alert(1)</script>");
        assert!(url("p", &format!("data:image/png;base64,{script}"), Kind::Image).is_err());
        assert!(url("p", "file:///etc/passwd", Kind::Image).is_err());
    }
}
