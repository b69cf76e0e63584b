//! JSON as it goes out, written straight to bytes with blobs left to the host, and as it comes in.

use crate::Failure;
use crate::blobs::Blob;
use serde::{Deserialize, Serialize};

mod members;
pub use members::{Member, members};

/// A piece of a JSON text: bytes, or a blob that the host puts there in base64 while it sends.
#[derive(Debug)]
pub enum Piece<'b, B = Blob> {
    Bytes(Vec<u8>),
    Base64(&'b B),
}

/// A JSON text (RFC 8259) in the making. Commas are its own business; that objects and arrays are closed is the author's.
///
/// ```
/// use atelier_plugin_sdk::json::Text;
///
/// let mut body = Text::new();
/// body.begin_object().field("model", "m").key("input").begin_array().value(&1.5f32).value("a\"b").end_array().end_object();
/// assert_eq!(body.into_string().as_deref(), Some(r#"{"model":"m","input":[1.5,"a\"b"]}"#));
/// ```
#[derive(Debug)]
pub struct Text<'b, B = Blob> {
    pieces: Vec<Piece<'b, B>>,
    tail: Vec<u8>,
    wants_comma: bool,
    failed: bool,
}

impl<B> Default for Text<'_, B> {
    fn default() -> Self {
        Self { pieces: Vec::new(), tail: Vec::with_capacity(1024), wants_comma: false, failed: false }
    }
}

impl<'b> Text<'b> {
    /// An empty text.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<'b, B> Text<'b, B> {
    fn open(&mut self, bracket: u8) -> &mut Self {
        self.separate();
        self.tail.push(bracket);
        self.wants_comma = false;
        self
    }

    fn close(&mut self, bracket: u8) -> &mut Self {
        self.tail.push(bracket);
        self.wants_comma = true;
        self
    }

    fn separate(&mut self) {
        if self.wants_comma {
            self.tail.push(b',');
        }
        self.wants_comma = true;
    }

    fn put(&mut self, value: &(impl Serialize + ?Sized)) {
        self.failed |= serde_json::to_writer(&mut self.tail, value).is_err();
    }

    pub fn begin_object(&mut self) -> &mut Self {
        self.open(b'{')
    }

    pub fn end_object(&mut self) -> &mut Self {
        self.close(b'}')
    }

    pub fn begin_array(&mut self) -> &mut Self {
        self.open(b'[')
    }

    pub fn end_array(&mut self) -> &mut Self {
        self.close(b']')
    }

    /// A member's name; its value comes next.
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.separate();
        self.put(name);
        self.tail.push(b':');
        self.wants_comma = false;
        self
    }

    /// A value: an item of an array, or what belongs to the last key.
    pub fn value(&mut self, value: &(impl Serialize + ?Sized)) -> &mut Self {
        self.separate();
        self.put(value);
        self
    }

    /// A value that is JSON text already.
    pub fn raw(&mut self, json: &str) -> &mut Self {
        self.separate();
        self.tail.extend_from_slice(json.as_bytes());
        self
    }

    /// A member.
    pub fn field(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> &mut Self {
        self.key(name).value(value)
    }

    /// A member, if there is a value.
    pub fn optional(&mut self, name: &str, value: Option<&(impl Serialize + ?Sized)>) -> &mut Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// A string that holds a blob in base64.
    pub fn base64(&mut self, blob: &'b B) -> &mut Self {
        self.prefixed_base64("", blob)
    }

    /// A `data:` URL (RFC 2397) that holds a blob.
    pub fn data_url(&mut self, content_type: &str, blob: &'b B) -> &mut Self {
        let mut prefix = String::with_capacity(content_type.len() + 13);
        prefix.push_str("data:");
        prefix.push_str(content_type);
        prefix.push_str(";base64,");
        self.prefixed_base64(&prefix, blob)
    }

    fn prefixed_base64(&mut self, prefix: &str, blob: &'b B) -> &mut Self {
        self.separate();
        self.put(prefix);
        self.tail.pop(); // the quotation mark, which comes after the blob
        self.pieces.push(Piece::Bytes(std::mem::take(&mut self.tail)));
        self.pieces.push(Piece::Base64(blob));
        self.tail.push(b'"');
        self
    }

    /// Put the members of `options`, a JSON object, into the object that is open.
    ///
    /// # Errors
    /// `invalid-request` if `options` is no object, or has one of the `reserved` members, which the request itself decides.
    pub fn merge(&mut self, options: &str, reserved: &[&str]) -> Result<&mut Self, Failure> {
        let members = members(options)
            .ok_or_else(|| Failure::invalid("options", "the options must be a JSON object"))?;
        for member in members {
            if reserved.contains(&member.name.as_ref()) {
                let path = ["options.", &member.name].concat();
                return Err(Failure::invalid(
                    path,
                    "this is a field of the request itself: leave it out of the options",
                ));
            }
            self.key(&member.name).raw(member.value);
        }
        Ok(self)
    }

    /// The finished pieces, in order.
    ///
    /// # Errors
    /// `internal` if a value could not be written as JSON (a map whose keys are no strings, say).
    pub fn into_pieces(mut self) -> Result<Vec<Piece<'b, B>>, Failure> {
        if self.failed {
            return Err(Failure::new(crate::failure::code::INTERNAL, "a request value has no JSON form"));
        }
        self.pieces.push(Piece::Bytes(self.tail));
        Ok(self.pieces)
    }

    /// The finished text; `None` if it refers to blobs or could not be written.
    pub fn into_string(self) -> Option<String> {
        (self.pieces.is_empty() && !self.failed).then_some(())?;
        String::from_utf8(self.tail).ok()
    }
}

/// Read a JSON document that a provider sent.
///
/// # Errors
/// `bad-response` if it is not what `T` describes.
pub fn parse<'a, T: Deserialize<'a>>(document: &'a [u8]) -> Result<T, Failure> {
    match std::str::from_utf8(document) {
        Ok(text) => parse_text(text),
        Err(_) => Err(Failure::bad_response("the provider's answer is not UTF-8")),
    }
}

/// The same, of text. All JSON of a plugin is best read by these two: another kind of reader is compiled in for each type again.
///
/// # Errors
/// `bad-response` if it is not what `T` describes.
pub fn parse_text<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::bad_response(["the provider's answer is not as documented: ", &error.to_string()].concat())
    })
}

#[cfg(test)]
mod tests;
