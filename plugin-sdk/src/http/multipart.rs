//! Forms with files (RFC 7578); the host chooses the boundary.

use crate::bindings::host::atelier::provider::http as wire;
use crate::blobs::Blob;

/// A form in the making.
#[derive(Debug, Default)]
pub struct Multipart<'b> {
    parts: Vec<wire::Part<'b>>,
}

impl<'b> Multipart<'b> {
    /// A form without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// A field that is text.
    pub fn text(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.part(name, None, None, wire::Segment::Bytes(value.into().into_bytes()))
    }

    /// A field that is a text, if there is one.
    pub fn optional(&mut self, name: &str, value: Option<impl Into<String>>) -> &mut Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// A file made of bytes.
    pub fn bytes(&mut self, name: &str, filename: &str, content_type: &str, bytes: Vec<u8>) -> &mut Self {
        self.part(name, Some(filename), Some(content_type), wire::Segment::Bytes(bytes))
    }

    /// A file that is a blob, of the blob's own content type.
    pub fn blob(&mut self, name: &str, filename: &str, blob: &'b Blob) -> &mut Self {
        let content_type = blob.content_type();
        self.part(name, Some(filename), Some(&content_type), wire::Segment::Blob(super::whole(blob)))
    }

    fn part(
        &mut self,
        name: &str,
        filename: Option<&str>,
        content_type: Option<&str>,
        content: wire::Segment<'b>,
    ) -> &mut Self {
        self.parts.push(wire::Part {
            name: name.to_owned(),
            filename: filename.map(str::to_owned),
            content_type: content_type.map(str::to_owned),
            content,
        });
        self
    }

    pub(super) fn into_parts(self) -> Vec<wire::Part<'b>> {
        self.parts
    }
}
