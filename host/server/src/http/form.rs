//! Multipart forms (RFC 7578) with files, read under the route's bound.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use multer::Multipart;

use super::body::in_time;
use super::{ApiError, Call};

/// Bytes of a field that is no file.
const FIELD_BYTES_MAX: usize = 256 * 1024;
const FIELDS_MAX: usize = 64;
const FILE_NAME_CHARACTERS_MAX: usize = 255;

/// A form being read.
#[derive(Debug)]
pub(super) struct Form {
    inner: Multipart<'static>,
    total: usize,
    left: usize,
    fields_left: usize,
    idle_max: Duration,
}

/// One of its fields.
#[derive(Debug)]
pub(super) struct Field {
    /// Without the `[]` that marks lists.
    pub name: String,
    pub file_name: Option<String>,
    pub bytes: Bytes,
}

impl Field {
    /// Its text.
    pub(super) fn text(&self) -> Result<&str, ApiError> {
        std::str::from_utf8(&self.bytes).map_err(|_| ApiError::invalid(&self.name, "must be UTF-8"))
    }

    /// Its typed value.
    pub(super) fn parse<T: std::str::FromStr>(&self, what: &str) -> Result<T, ApiError> {
        self.text()?.trim().parse().map_err(|_| ApiError::invalid(&self.name, format!("must be {what}")))
    }
}

impl Form {
    /// Begins to read a call's form.
    pub(super) fn open(call: &mut Call) -> Result<Self, ApiError> {
        let total = call.route.body_max;
        let header = |name| call.parts.headers.get(name).and_then(|value| value.to_str().ok());
        let boundary = match multer::parse_boundary(header(CONTENT_TYPE).unwrap_or("")) {
            Ok(boundary) => boundary,
            Err(multer::Error::NoBoundary) => {
                return Err(ApiError::invalid("(form)", "the content type lacks the form's boundary"));
            }
            Err(_) => return Err(ApiError::ContentType { wanted: "multipart/form-data" }),
        };
        let told = header(CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
        if told.is_some_and(|told| told > total as u64) {
            return Err(ApiError::BodyTooLarge { max: total });
        }
        let body = std::mem::replace(&mut call.body, Body::empty());
        let inner = Multipart::new(body.into_data_stream(), boundary);
        let idle_max = call.app.config.server.body_idle_max;
        Ok(Self { inner, total, left: total, fields_left: FIELDS_MAX, idle_max })
    }

    /// The next field; those of `files` may take what the route allows.
    pub(super) async fn next(&mut self, files: &[&str]) -> Result<Option<Field>, ApiError> {
        let broken =
            |error: multer::Error| ApiError::invalid("(form)", format!("the form cannot be read: {error}"));
        let next = in_time(self.idle_max, self.inner.next_field()).await?.map_err(broken)?;
        let Some(mut field) = next else { return Ok(None) };
        if self.fields_left == 0 {
            return Err(ApiError::invalid("(form)", format!("at most {FIELDS_MAX} fields")));
        }
        self.fields_left -= 1;
        let name = field.name().unwrap_or_default();
        let name = name.strip_suffix("[]").unwrap_or(name).to_owned();
        let file_name = field.file_name().map(|name| name.chars().take(FILE_NAME_CHARACTERS_MAX).collect());
        let max = if files.contains(&name.as_str()) { self.total } else { FIELD_BYTES_MAX };
        let mut whole = BytesMut::new();
        while let Some(piece) = in_time(self.idle_max, field.chunk()).await?.map_err(broken)? {
            if piece.len() > self.left || whole.len() + piece.len() > max {
                return Err(ApiError::BodyTooLarge { max: self.total });
            }
            self.left -= piece.len();
            whole.extend_from_slice(&piece);
        }
        Ok(Some(Field { name, file_name, bytes: whole.freeze() }))
    }
}
