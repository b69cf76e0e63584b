//! Multipart forms (RFC 7578) with files, read under the route's bound.

pub(crate) mod fuzzing;
mod intake;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::Stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use multer::Multipart;

use super::body::in_time;
use super::{ApiError, Call};
use intake::{Intake, OVERHEAD_BYTES_MAX, Overhead, Progress};

/// Bytes of a field that is no file.
const FIELD_BYTES_MAX: usize = 256 * 1024;
const FIELDS_MAX: usize = 64;
/// Of a file's name: what a provider may be sent.
const FILE_NAME_BYTES_MAX: usize = 512;
const FILE_NAME_CHARACTERS_MAX: usize = 255;
/// The longest ending that a name keeps when it is cut.
const EXTENSION_BYTES_MAX: usize = 16;

/// A form being read.
#[derive(Debug)]
pub(super) struct Form {
    inner: Multipart<'static>,
    progress: Arc<Progress>,
    total: usize,
    left: usize,
    fields_left: usize,
    idle_max: Duration,
}

/// A field of which the name is known and the content is still on its way.
#[derive(Debug)]
pub(super) struct Part {
    /// Without the `[]` that marks lists.
    pub name: String,
    pub file_name: Option<String>,
    content: multer::Field<'static>,
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
    /// Its text, which has no NUL, as in JSON (`super::body`).
    pub(super) fn text(&self) -> Result<&str, ApiError> {
        let text =
            std::str::from_utf8(&self.bytes).map_err(|_| ApiError::invalid(&self.name, "must be UTF-8"))?;
        if text.contains('\0') {
            let message = "has the character U+0000, which no text here may have";
            return Err(ApiError::invalid(&self.name, message));
        }
        Ok(text)
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
        let boundary = boundary_of(header(CONTENT_TYPE).unwrap_or(""))?;
        let told = header(CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
        if told.is_some_and(|told| told > total as u64) {
            return Err(ApiError::BodyTooLarge { max: total });
        }
        let body = std::mem::replace(&mut call.body, Body::empty());
        let idle_max = call.app.config.server.body_idle_max;
        Ok(Self::over(body.into_data_stream(), boundary, total, idle_max))
    }

    /// Reads a form of at most `total` bytes from pieces of which the next one comes within `idle_max`.
    fn over(
        pieces: impl Stream<Item = Result<Bytes, axum::Error>> + Send + 'static,
        boundary: String,
        total: usize,
        idle_max: Duration,
    ) -> Self {
        let progress = Arc::new(Progress::default());
        let inner = Multipart::new(Intake::new(pieces, progress.clone()), boundary);
        Self { inner, progress, total, left: total, fields_left: FIELDS_MAX, idle_max }
    }

    /// The next field; those of `files` may take what the route allows.
    pub(super) async fn next(&mut self, files: &[&str]) -> Result<Option<Field>, ApiError> {
        let Some(part) = self.part().await? else { return Ok(None) };
        let max = if files.contains(&part.name.as_str()) { self.total } else { FIELD_BYTES_MAX };
        self.whole(part, max).await.map(Some)
    }

    /// The next field, its content still to be read.
    pub(super) async fn part(&mut self) -> Result<Option<Part>, ApiError> {
        self.progress.is_in_field(false);
        let next = in_time(self.idle_max, self.inner.next_field()).await?.map_err(broken)?;
        self.progress.is_in_field(true);
        let Some(content) = next else { return Ok(None) };
        if self.fields_left == 0 {
            return Err(ApiError::invalid("(form)", format!("at most {FIELDS_MAX} fields")));
        }
        self.fields_left -= 1;
        let name = content.name().unwrap_or_default();
        let name = name.strip_suffix("[]").unwrap_or(name).to_owned();
        let file_name = content.file_name().map(shortened);
        Ok(Some(Part { name, file_name, content }))
    }

    /// A field that is no file, whole.
    pub(super) async fn field(&mut self, part: Part) -> Result<Field, ApiError> {
        self.whole(part, FIELD_BYTES_MAX).await
    }

    /// The next piece of a field; `None` at its end.
    pub(super) async fn piece(&mut self, part: &mut Part) -> Result<Option<Bytes>, ApiError> {
        let Some(piece) = in_time(self.idle_max, part.content.chunk()).await?.map_err(broken)? else {
            return Ok(None);
        };
        self.progress.took(piece.len());
        if piece.len() > self.left {
            return Err(ApiError::BodyTooLarge { max: self.total });
        }
        self.left -= piece.len();
        Ok(Some(piece))
    }

    async fn whole(&mut self, mut part: Part, max: usize) -> Result<Field, ApiError> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.piece(&mut part).await? {
            if whole.len() + piece.len() > max {
                return Err(ApiError::BodyTooLarge { max: self.total });
            }
            whole.extend_from_slice(&piece);
        }
        let Part { name, file_name, .. } = part;
        Ok(Field { name, file_name, bytes: whole.freeze() })
    }
}

/// What stands between a form's fields, as its content type says.
fn boundary_of(content_type: &str) -> Result<String, ApiError> {
    multer::parse_boundary(content_type).map_err(|error| match error {
        multer::Error::NoBoundary => {
            ApiError::invalid("(form)", "the content type lacks the form's boundary")
        }
        _ => ApiError::ContentType { wanted: "multipart/form-data" },
    })
}

/// A file's name within its bounds. What it ends with says what the file is, and stays.
fn shortened(name: &str) -> String {
    let fits =
        |text: &str| text.len() <= FILE_NAME_BYTES_MAX && text.chars().count() <= FILE_NAME_CHARACTERS_MAX;
    if fits(name) {
        return name.to_owned();
    }
    let extension = name.rfind('.').map_or("", |dot| &name[dot..]);
    let extension = if extension.len() <= EXTENSION_BYTES_MAX { extension } else { "" };
    let mut short = String::new();
    let characters_max = FILE_NAME_CHARACTERS_MAX - extension.chars().count();
    for character in name[..name.len() - extension.len()].chars().take(characters_max) {
        if short.len() + character.len_utf8() + extension.len() > FILE_NAME_BYTES_MAX {
            break;
        }
        short.push(character);
    }
    short + extension
}

fn broken(error: multer::Error) -> ApiError {
    if let multer::Error::StreamReadFailed(why) = &error
        && why.is::<Overhead>()
    {
        return ApiError::FormOverhead { max: OVERHEAD_BYTES_MAX };
    }
    ApiError::invalid("(form)", format!("the form cannot be read: {error}"))
}
