//! Reading request bodies: bounded while reading, typed, and refused with the place of the mistake.

mod leftover;
mod walk;

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt;
use serde::Deserialize;

use super::{ApiError, Call};

pub(super) use leftover::Leftover;

impl Call {
    /// The whole body, bounded by the route.
    ///
    /// # Errors
    /// Too large, or the connection broke.
    pub async fn read_body(&mut self) -> Result<Bytes, ApiError> {
        self.read_body_within(self.route.body_max).await
    }

    /// The same, under a tighter bound.
    ///
    /// # Errors
    /// As [`Call::read_body`].
    pub(super) async fn read_body_within(&mut self, max: usize) -> Result<Bytes, ApiError> {
        let told =
            self.parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if told.is_some_and(|told| told > max as u64) {
            return Err(ApiError::BodyTooLarge { max });
        }
        let mut body = std::mem::replace(&mut self.body, Body::empty());
        let mut first: Option<Bytes> = None;
        let mut whole = BytesMut::new();
        let idle_max = self.app.config.server.body_idle_max;
        while let Some(frame) = in_time(idle_max, body.frame()).await? {
            let frame = frame.map_err(|error| ApiError::BodyBroken(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            let so_far = first.as_ref().map_or(0, Bytes::len) + whole.len();
            if so_far + data.len() > max {
                return Err(ApiError::BodyTooLarge { max });
            }
            // Most bodies come in one piece, which is then not copied.
            match first.take() {
                None if whole.is_empty() => first = Some(data),
                earlier => {
                    whole.extend_from_slice(&earlier.unwrap_or_default());
                    whole.extend_from_slice(&data);
                }
            }
        }
        Ok(first.unwrap_or_else(|| whole.freeze()))
    }

    /// The whole body of a JSON request.
    ///
    /// # Errors
    /// Another content type, too large, or the connection broke.
    pub async fn read_json(&mut self) -> Result<Bytes, ApiError> {
        let content_type =
            self.parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let essence = content_type.split(';').next().unwrap_or("").trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(ApiError::ContentType { wanted: "application/json" });
        }
        self.read_body().await
    }
}

/// What a client sends next, if it does so in time.
pub(super) async fn in_time<T>(idle_max: Duration, next: impl Future<Output = T>) -> Result<T, ApiError> {
    tokio::time::timeout(idle_max, next).await.map_err(|_| ApiError::BodyIdle { after: idle_max })
}

/// Parses a JSON body.
///
/// # Errors
/// Malformed with its place; an unknown or ill-typed member, and a text with a NUL in it, by its path.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    let value = serde_json::from_slice(body).map_err(|error| explain::<T>(body, error))?;
    if walk::may_have_nul(body)
        && let Some(path) = walk::nul(body).map_err(|error| malformed(&error))?
    {
        return Err(ApiError::invalid(path, "has the character U+0000, which no text here may have"));
    }
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> ApiError {
    ApiError::MalformedJson { line: error.line(), column: error.column(), message: bare(error) }
}

/// Reads a bad body once more, to find the path of what is wrong.
fn explain<'a, T: Deserialize<'a>>(body: &'a [u8], error: serde_json::Error) -> ApiError {
    // What is no word of a list where there should be one is told as a mistake in the writing too.
    if let Err(error) = walk::nul(body) {
        return malformed(&error);
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let Err(at) = serde_path_to_error::deserialize::<_, T>(&mut reader) else {
        return malformed(&error);
    };
    let path = at.path().to_string();
    if at.inner().is_syntax() {
        return ApiError::invalid(path, "is of another type than this takes");
    }
    let message = bare(at.inner());
    if message.starts_with("unknown field") {
        let name = message.split('`').nth(1).unwrap_or_default();
        let param = if path.ends_with(name) {
            path.clone()
        } else {
            format!("{}.{name}", path.trim_start_matches('.'))
        };
        return ApiError::UnknownParameter { param: param.trim_start_matches('.').to_owned() };
    }
    if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        let param = if path == "." { name.to_owned() } else { format!("{path}.{name}") };
        return ApiError::MissingParameter { param };
    }
    ApiError::invalid(path, in_words(&message))
}

/// serde's message, whose words for what was expected are Rust's, in JSON's.
fn in_words(message: &str) -> String {
    if message.starts_with("data did not match any variant") {
        return "is of none of the kinds that this takes".to_owned();
    }
    let Some((found, expected)) = message.rsplit_once(", expected ") else { return message.to_owned() };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "an object",
        _ if expected.starts_with("struct ") || expected.contains(" tagged enum ") => "an object",
        other => other,
    };
    format!("{found}, expected {expected}")
}

/// A serde message without its position, which is given apart.
fn bare(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
