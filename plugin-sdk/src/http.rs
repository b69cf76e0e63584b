//! Requests to the provider and its answers, over the contract's one way out.
//!
//! The host adds the secrets, holds every request against the granted hosts, and follows no redirects.

use crate::bindings::host::atelier::provider::http as wire;
use crate::blobs::Blob;
use crate::{Failure, Pair, json, pair};

mod multipart;
mod response;
pub use multipart::Multipart;
pub use response::{Events, Lines, Response};
pub use wire::{Effect, HttpError, IncomingBody};

/// A request in the making.
#[derive(Debug)]
#[must_use = "a request is nothing until it is sent"]
pub struct Request<'b> {
    wire: wire::Request<'b>,
}

impl<'b> Request<'b> {
    /// A request that only reads (RFC 9110 §9.2.1).
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url, Effect::Safe)
    }

    /// A request that may cost money each time, unless [`Self::safe`] or [`Self::idempotent`] says otherwise.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url, Effect::Charging)
    }

    /// A request of which twice is as good as once.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url, Effect::Idempotent)
    }

    /// A request of any method (upper case), to an absolute URL.
    pub fn new(method: &str, url: impl Into<String>, effect: Effect) -> Self {
        Self {
            wire: wire::Request {
                method: method.to_owned(),
                url: url.into(),
                headers: Vec::new(),
                body: wire::Body::None,
                effect,
                idempotency_header: None,
            },
        }
    }

    /// Add a header. Those of the connection, and those of secrets, are the host's.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.wire.headers.push(pair(name, value));
        self
    }

    /// Sending it changes nothing, although its method could.
    pub fn safe(mut self) -> Self {
        self.wire.effect = Effect::Safe;
        self
    }

    /// Sending it twice is as good as once.
    pub fn idempotent(mut self) -> Self {
        self.wire.effect = Effect::Idempotent;
        self
    }

    /// Sending it may cost money each time.
    pub fn charging(mut self) -> Self {
        self.wire.effect = Effect::Charging;
        self
    }

    /// The provider takes an idempotency key in this header. The host fills it in, and only then may it send a charging request
    /// again whose outcome is unknown.
    pub fn idempotency_header(mut self, name: &str) -> Self {
        self.wire.idempotency_header = Some(name.to_owned());
        self
    }

    /// Send some bytes.
    pub fn bytes(mut self, content_type: &str, bytes: Vec<u8>) -> Self {
        self.wire.body = wire::Body::Bytes(bytes);
        self.header("content-type", content_type)
    }

    /// Send a value as JSON.
    ///
    /// # Errors
    /// `internal` if it has no JSON form.
    pub fn json(self, value: &(impl serde::Serialize + ?Sized)) -> Result<Self, Failure> {
        let mut text = json::Text::new();
        text.value(value);
        self.json_text(text)
    }

    /// Send a JSON text, with the blobs in it.
    ///
    /// # Errors
    /// `internal` if one of its values has no JSON form.
    pub fn json_text(mut self, text: json::Text<'b>) -> Result<Self, Failure> {
        let mut pieces = text.into_pieces()?;
        self.wire.body = match pieces.pop() {
            Some(json::Piece::Bytes(bytes)) if pieces.is_empty() => wire::Body::Bytes(bytes),
            last => wire::Body::Segments(pieces.into_iter().chain(last).map(segment).collect()),
        };
        Ok(self.header("content-type", "application/json"))
    }

    /// Send a form with files (RFC 7578).
    pub fn multipart(mut self, form: Multipart<'b>) -> Self {
        self.wire.body = wire::Body::Multipart(form.into_parts());
        self
    }

    /// Send it, and wait for the head of the answer, whatever its status.
    ///
    /// # Errors
    /// What the host refuses, and connections that fail.
    pub fn send(self) -> Result<Response, Failure> {
        Ok(Response::from(wire::send(&self.wire)?))
    }
}

fn segment(piece: json::Piece<'_>) -> wire::Segment<'_> {
    match piece {
        json::Piece::Bytes(bytes) => wire::Segment::Bytes(bytes),
        json::Piece::Base64(blob) => wire::Segment::Base64(whole(blob)),
    }
}

fn whole(blob: &Blob) -> wire::BlobSlice<'_> {
    wire::BlobSlice { blob, offset: 0, length: None }
}

/// The first header of this (lower-case) name.
pub fn header<'a>(headers: &'a [Pair], name: &str) -> Option<&'a str> {
    headers.iter().find(|header| header.name == name).map(|header| header.value.as_str())
}

/// Escape a text for one segment of a URL's path or for a query value (RFC 3986 §2.1): all but unreserved characters.
pub fn escape(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.push(char::from(HEX[usize::from(byte >> 4)]));
            escaped.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_text_stays_within_its_segment() {
        assert_eq!(escape("ft:gpt-4o:acme/é?#%"), "ft%3Agpt-4o%3Aacme%2F%C3%A9%3F%23%25");
        assert_eq!(escape("file-abc_1.~"), "file-abc_1.~");
    }
}
