//! Whole forms, for tests and fuzz targets: the product reads them field by field.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};

use super::{Form, boundary_of};
use crate::http::ApiError;

/// What is in a form's fields: names, names of files, content.
pub type Fields = Vec<(String, Option<String>, Bytes)>;

/// The fields of a body of this content type and of `bytes_max` bytes at most, whose field `file` may take all of them.
///
/// # Errors
/// It is no form, or not within its bounds.
pub async fn fields(
    content_type: &str,
    body: impl Stream<Item = Bytes> + Send + 'static,
    bytes_max: usize,
) -> Result<Fields, ApiError> {
    let idle_max = Duration::from_secs(60);
    read(Form::over(body.map(Ok), boundary_of(content_type)?, bytes_max, idle_max)).await
}

pub(super) async fn read(mut form: Form) -> Result<Fields, ApiError> {
    let mut fields = Vec::new();
    while let Some(field) = form.next(&["file"]).await? {
        fields.push((field.name, field.file_name, field.bytes));
    }
    Ok(fields)
}
