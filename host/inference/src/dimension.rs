//! What model files say of their dimensions, held to bounds.

use crate::error::ModelError;

/// A dimension from 1 to `max`.
///
/// # Errors
/// [`ModelError::BadMetadata`] names it.
pub(crate) fn bounded(key: &str, value: usize, max: usize) -> Result<usize, ModelError> {
    if (1..=max).contains(&value) {
        return Ok(value);
    }
    Err(bad(key, value, &format!("it is not from 1 to {max}")))
}

/// A value that makes no sense.
pub(crate) fn bad(key: &str, found: impl ToString, reason: &str) -> ModelError {
    ModelError::BadMetadata { key: key.to_owned(), found: found.to_string(), reason: reason.to_owned() }
}
