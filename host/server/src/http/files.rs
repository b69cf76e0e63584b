//! `/v1/files` (OpenAI API, files): what a user keeps here.

pub(super) mod content;
pub(super) mod create;
pub(super) mod delete;
pub(super) mod get;
pub(super) mod list;
pub(super) mod rendition;
pub(super) mod used;
pub(super) mod view;

use atelier_domain::file::StoredFile;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use super::query::path;
use super::{ApiError, Call, prefix};

/// How long a file may stay that goes by itself, as in OpenAI's API.
pub(super) const EXPIRES_SECONDS: std::ops::RangeInclusive<u64> = 3_600..=2_592_000;

/// The caller's file that the path names.
async fn named(call: &mut Call) -> Result<StoredFile, ApiError> {
    let id: String = path(call, "id").await?;
    let id = prefix::read(prefix::FILE, &id, "such file")?;
    Ok(call.app.files.get(call.caller()?, id).await?)
}

/// The schema of a file's id.
pub(super) fn file_id() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^file-[0-9a-f]{32}$")).into()
}

/// The same, or `null`.
pub(super) fn optional_file_id() -> RefOr<Schema> {
    super::openapi::optional(file_id())
}
