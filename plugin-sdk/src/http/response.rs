//! What came back.

use super::{IncomingBody, header, wire};
use crate::blobs::Blob;
use crate::{Failure, Pair, json, ndjson, sse};
use serde::de::DeserializeOwned;

/// As much of a stream as one host call brings at most.
const READ_BYTES_MAX: u32 = 64 * 1024;
/// As much of an error document as is looked at.
pub const ERROR_BYTES_MAX: u32 = 64 * 1024;

/// An answer whose head is here. Its body is read once.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<Pair>,
    body: IncomingBody,
}

impl From<wire::Response> for Response {
    fn from(response: wire::Response) -> Self {
        Self { status: response.status, headers: response.headers, body: response.body }
    }
}

impl Response {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The response itself if its status is 2xx.
    ///
    /// # Errors
    /// What the status means, with the body for the operator if it is JSON. Use [`Self::fault`] to read the provider's own words.
    pub fn success(self) -> Result<Self, Failure> {
        if self.is_success() {
            return Ok(self);
        }
        let (mut failure, body) = self.fault();
        if let Ok(detail) = json::parse::<&serde_json::value::RawValue>(&body) {
            failure.provider_detail = Some(detail.get().to_owned());
        }
        Err(failure)
    }

    /// What the status and headers of an unsuccessful response mean, and the start of its body; an error document that is too
    /// large or breaks off is left out, as the status has already said that the call failed.
    pub fn fault(self) -> (Failure, Vec<u8>) {
        let failure = Failure::from_status(self.status, &self.headers);
        let body = self.body.read_all(ERROR_BYTES_MAX).unwrap_or_default();
        (failure, body)
    }

    /// All of the body.
    ///
    /// # Errors
    /// `bad-response` past `max` bytes; a connection that breaks.
    pub fn bytes(self, max: u32) -> Result<Vec<u8>, Failure> {
        Ok(self.body.read_all(max)?)
    }

    /// All of the body as JSON.
    ///
    /// # Errors
    /// As [`Self::bytes`], and `bad-response` if it is not what `T` describes.
    pub fn json<T: DeserializeOwned>(self, max: u32) -> Result<T, Failure> {
        json::parse(&self.bytes(max)?)
    }

    /// All of the body into a blob, of the response's own content type unless one is given.
    ///
    /// # Errors
    /// `too-large` past the plugin's budget; a connection that breaks.
    pub fn save(self, content_type: Option<&str>) -> Result<Blob, Failure> {
        Ok(self.body.save(content_type)?)
    }

    /// The body as server-sent events of at most `event_bytes_max` bytes each.
    pub fn sse(self, event_bytes_max: usize) -> Events {
        Events { body: self.body, decoder: sse::Decoder::new(event_bytes_max) }
    }

    /// The body as lines of JSON of at most `line_bytes_max` bytes each.
    pub fn ndjson(self, line_bytes_max: usize) -> Lines {
        Lines { body: self.body, decoder: ndjson::Decoder::new(line_bytes_max) }
    }

    /// The body, to be read or piped.
    pub fn into_body(self) -> IncomingBody {
        self.body
    }
}

/// A body as server-sent events.
///
/// To send on everything that one read brought in one host call, loop over [`Self::ready`] inside a loop over [`Self::fill`].
#[derive(Debug)]
pub struct Events {
    body: IncomingBody,
    decoder: sse::Decoder,
}

impl Events {
    /// Wait for more bytes; `false` at the end of the stream.
    ///
    /// # Errors
    /// A connection that breaks.
    pub fn fill(&mut self) -> Result<bool, Failure> {
        let Some(bytes) = self.body.read(READ_BYTES_MAX)? else { return Ok(false) };
        self.decoder.feed(&bytes);
        Ok(true)
    }

    /// The next event that is complete, without waiting.
    ///
    /// # Errors
    /// `bad-response` for an event past the bound.
    pub fn ready(&mut self) -> Result<Option<sse::Event<'_>>, Failure> {
        Ok(if self.decoder.advance()? { Some(self.decoder.event()) } else { None })
    }

    /// Wait for the next event; `None` at the end of the stream.
    ///
    /// # Errors
    /// As [`Self::fill`] and [`Self::ready`].
    pub fn next_event(&mut self) -> Result<Option<sse::Event<'_>>, Failure> {
        while !self.decoder.advance()? {
            if !self.fill()? {
                return Ok(None);
            }
        }
        Ok(Some(self.decoder.event()))
    }
}

/// A body as lines of JSON.
#[derive(Debug)]
pub struct Lines {
    body: IncomingBody,
    decoder: ndjson::Decoder,
}

impl Lines {
    /// Wait for the next line that is not blank; `None` at the end.
    ///
    /// # Errors
    /// `bad-response` for a line past the bound; a connection that breaks.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, Failure> {
        while !self.decoder.advance()? {
            match self.body.read(READ_BYTES_MAX)? {
                Some(bytes) => self.decoder.feed(&bytes),
                None => {
                    self.decoder.end();
                    if !self.decoder.advance()? {
                        return Ok(None);
                    }
                    break;
                }
            }
        }
        Ok(Some(self.decoder.line()))
    }
}
