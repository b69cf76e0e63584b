//! The small files of a model's folder, each read under a bound.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::Deserialize;

use crate::error::ModelError;

/// A whole file of at most `bytes_max`.
///
/// # Errors
/// [`ModelError::Io`], also where it is no regular file; [`ModelError::Malformed`] where it is longer.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ModelError> {
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    if !file.metadata().map_err(io)?.is_file() {
        return Err(io(std::io::Error::other("not a regular file")));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > bytes_max {
        let reason = format!("it has more than {bytes_max} bytes");
        return Err(ModelError::Malformed { path: path.to_owned(), reason });
    }
    Ok(bytes)
}

/// The same, or nothing where there is no such file.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_where_there(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, ModelError> {
    match read(path, bytes_max) {
        Err(ModelError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// JSON, called `name` where it cannot be read.
///
/// # Errors
/// [`ModelError::BadMetadata`].
pub(crate) fn parse<'t, T: Deserialize<'t>>(name: &str, text: &'t [u8]) -> Result<T, ModelError> {
    serde_json::from_slice(text).map_err(|error| ModelError::BadMetadata {
        key: name.to_owned(),
        found: format!("{} bytes", text.len()),
        reason: error.to_string(),
    })
}
