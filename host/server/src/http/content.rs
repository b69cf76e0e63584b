//! Stored content as an answer (RFC 9110): whole or a range of it, only if it is not known already, and never as a page of ours.

mod range;

use std::io;

use atelier_domain::blob::Blob;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, stream};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH,
    IF_RANGE, RANGE,
};
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::json;
use utoipa::ToSchema;

use super::gate::ascii;
use super::openapi::{Operation, form_file};
use super::{ApiError, Reply};
use range::Wanted;

const PIECE_BYTES: usize = 256 * 1024;
/// Content never changes, so that it may be kept for a year.
const KEPT: &str = "private, max-age=31536000, immutable";
/// Whatever the content is, it runs nothing, loads nothing and has no origin.
const POLICY: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

/// Content to answer with.
#[derive(Debug)]
pub(super) struct Content<'a> {
    pub blob: Blob,
    /// What a browser saves it as.
    pub name: Option<&'a str>,
    /// Whether a browser may show it where that is harmless; it is saved otherwise.
    pub may_be_shown: bool,
    /// For how long it may be kept; `None`: for good.
    pub kept_seconds: Option<u64>,
}

impl<'a> Content<'a> {
    /// Content that is saved, and kept for good.
    pub(super) fn saved(blob: Blob, name: Option<&'a str>) -> Self {
        Self { blob, name, may_be_shown: false, kept_seconds: None }
    }
}

/// The answer to a request for content.
///
/// # Errors
/// `if-match` names another content, or none of the range wanted is there.
pub(super) fn reply(parts: &Parts, content: Content<'_>) -> Result<Reply, ApiError> {
    // BLAKE3 of the content: a strong validator.
    let tag = format!("\"{}\"", content.blob.id);
    if let Some(known) = list(&parts.headers, &IF_MATCH)
        && !names(&known, &tag, false)
    {
        return Err(ApiError::OtherContent);
    }
    let is_known = list(&parts.headers, &IF_NONE_MATCH).is_some_and(|known| names(&known, &tag, true));
    let size = content.blob.size;
    let wanted = match wanted(parts, &tag, size) {
        _ if is_known => Wanted::Whole,
        wanted => wanted,
    };
    let (status, from, length) = match wanted {
        _ if is_known => (StatusCode::NOT_MODIFIED, 0, 0),
        Wanted::Whole => (StatusCode::OK, 0, size),
        Wanted::Part { from, length } => (StatusCode::PARTIAL_CONTENT, from, length),
        Wanted::Nothing => return Err(ApiError::RangeOutside { size }),
    };
    let has_body = !is_known && parts.method != Method::HEAD;
    let body = match has_body {
        true => Body::from_stream(pieces(content.blob.clone(), from, length)),
        false => Body::empty(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(ETAG, ascii(&tag));
    headers.insert(CACHE_CONTROL, kept(content.kept_seconds));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // What a link leads to may stand in others' pages; what needs a key may not.
    let embedding = if content.may_be_shown { "cross-origin" } else { "same-origin" };
    headers
        .insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static(embedding));
    if !is_known {
        describe(headers, &content);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let last = from + length - 1;
        headers.insert(CONTENT_RANGE, ascii(&format!("bytes {from}-{last}/{size}")));
    }
    Ok(Reply { response, provider_time: None, is_stream: has_body })
}

fn describe(headers: &mut HeaderMap, content: &Content<'_>) {
    let content_type = HeaderValue::try_from(&content.blob.content_type);
    headers
        .insert(CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    let is_shown = content.may_be_shown && is_harmless(&content.blob.content_type);
    let how = if is_shown { "inline" } else { "attachment" };
    headers.insert(CONTENT_DISPOSITION, ascii(&disposition(how, content.name)));
}

fn kept(seconds: Option<u64>) -> HeaderValue {
    match seconds {
        None => HeaderValue::from_static(KEPT),
        Some(seconds) => ascii(&format!("private, max-age={seconds}, immutable")),
    }
}

/// Pictures and sounds that hold no script; SVG does.
pub(super) fn is_harmless(content_type: &str) -> bool {
    let is_picture =
        matches!(content_type, "image/png" | "image/jpeg" | "image/webp" | "image/gif" | "image/avif");
    is_picture || content_type.starts_with("audio/") || content_type.starts_with("video/")
}

/// `content-disposition` (RFC 6266), the name in its extended form (RFC 8187).
fn disposition(how: &str, name: Option<&str>) -> String {
    let Some(name) = name else { return how.to_owned() };
    let mut text = format!("{how}; filename*=UTF-8''");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// What a range, if one is asked for, comes to. A validator that is not the content's asks for the whole (RFC 9110 §13.1.5).
fn wanted(parts: &Parts, tag: &str, size: u64) -> Wanted {
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let is_current = header(IF_RANGE).is_none_or(|known| known.trim() == tag);
    match header(RANGE).filter(|_| parts.method == Method::GET && is_current) {
        Some(range) => range::read(range, size),
        None => Wanted::Whole,
    }
}

/// All values of a header that is a list.
fn list(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Whether a list of entity tags names this one; weak ones do where weak comparison is allowed.
fn names(known: &str, tag: &str, weak: bool) -> bool {
    known.split(',').map(str::trim).any(|known| {
        known == "*" || known == tag || (weak && known.strip_prefix("W/").is_some_and(|known| known == tag))
    })
}

/// A part of a blob, piece by piece, read on blocking threads; a failing disk breaks the connection.
fn pieces(blob: Blob, from: u64, length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let end = from + length;
    stream::try_unfold(from, move |offset| {
        let blob = blob.clone();
        async move {
            if offset >= end {
                return Ok(None);
            }
            let max = usize::try_from(end - offset).unwrap_or(usize::MAX).min(PIECE_BYTES);
            let piece = if blob.is_in_memory() {
                blob.read(offset, max)?
            } else {
                let read = tokio::task::spawn_blocking(move || blob.read(offset, max));
                read.await.map_err(io::Error::other)??
            };
            let next = offset + piece.len() as u64;
            Ok(Some((piece, next)))
        }
    })
}

/// What the reference says of thumbnails.
pub(super) const THUMBNAIL: &str = "A small picture of a PNG, JPEG, WebP or GIF, upright, in a box of 512 by 512: PNG where it is transparent, \
    else JPEG. It is made when it is first asked for, and kept. There is none (404) of what is no such image, or too large to be looked at; of videos \
    there is none yet.";
/// And of peaks.
pub(super) const PEAKS: &str = "How loud a WAV, MP3, FLAC or Ogg Vorbis is from its beginning to its end, as JSON: `duration_ms`, `peak_ms` (how much one peak \
    stands for) and `peaks`, up to 1,024 numbers from 0 to 255. It is made when it is first asked for, and kept. There is none (404) of what is no \
    such sound, or too long to be looked at.";

/// What the reference says of every operation that answers with content of any type.
pub(super) fn described(operation: Operation, about: &'static str) -> Operation {
    let whole = operation.about(about).empty(200, "The bytes, in the content's own type.");
    as_content(whole.or("*/*", form_file()))
}

/// What the reference says of every operation that answers with peaks.
pub(super) fn described_peaks(operation: Operation) -> Operation {
    let example = json!({"duration_ms": 100, "peak_ms": 0.125, "peaks": [0, 21, 40, 54, 61]});
    as_content(operation.about(PEAKS).answers::<Peaks>(200, "The peaks.", example))
}

/// A sound from its beginning to its end.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the reference alone: it is made and kept as bytes")]
struct Peaks {
    /// How long the sound is.
    duration_ms: u64,
    /// How much of it one peak stands for.
    peak_ms: f64,
    /// The loudest of all channels in each span, from 0 for silence to 255.
    #[schema(max_items = 1_024)]
    peaks: Vec<u8>,
}

/// What it says of all that may be had in parts, or is known already.
fn as_content(whole: Operation) -> Operation {
    let with_validators = |operation: Operation| {
        operation
            .header(
                "etag",
                "The content's digest: a strong validator for `if-none-match`, `if-match` and `if-range`.",
            )
            .header("content-disposition", "`attachment`, or `inline` for harmless content behind a link.")
            .header("accept-ranges", "`bytes`: a single range can be asked for.")
    };
    let part = with_validators(whole).empty(206, "The part that `range` asks for.").or("*/*", form_file());
    part.header("content-range", "Which bytes these are, and of how many.")
        .empty(304, "`if-none-match` names the content.")
        .refuses(&[404, 412, 416, 500])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_cannot_break_out_of_their_header() {
        assert_eq!(disposition("attachment", None), "attachment");
        assert_eq!(disposition("inline", Some("a b.png")), "inline; filename*=UTF-8''a%20b.png");
        assert_eq!(
            disposition("attachment", Some("x\"; y=\r\n漢")),
            "attachment; filename*=UTF-8''x%22%3B%20y%3D%0D%0A%E6%BC%A2"
        );
    }

    #[test]
    fn only_what_holds_no_script_is_shown() {
        for harmless in ["image/png", "audio/mpeg", "video/mp4"] {
            assert!(is_harmless(harmless), "{harmless}");
        }
        for other in ["text/html", "image/svg+xml", "application/pdf", "text/plain", "application/xml"] {
            assert!(!is_harmless(other), "{other}");
        }
    }

    #[test]
    fn tags_are_compared_as_strongly_as_their_header_wants() {
        assert!(names("\"a\", \"b\"", "\"b\"", false) && names("*", "\"b\"", false));
        assert!(names("W/\"b\"", "\"b\"", true) && !names("W/\"b\"", "\"b\"", false));
        assert!(!names("\"c\"", "\"b\"", true) && !names("b", "\"b\"", true));
    }
}
