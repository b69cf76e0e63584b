//! A file as its owner sees it.

use atelier_domain::file::StoredFile;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::file_id;
use crate::http::openapi::words;
use crate::http::prefix;

#[derive(Serialize, ToSchema)]
#[schema(as = File)]
pub(in crate::http) struct FileView<'a> {
    #[schema(schema_with = file_id)]
    id: String,
    #[schema(inline, value_type = FileWord)]
    object: &'static str,
    bytes: u64,
    /// Unix seconds.
    created_at: u64,
    /// Unix seconds; `null`: it stays until it is deleted.
    #[schema(required)]
    expires_at: Option<u64>,
    filename: &'a str,
    #[schema(inline, value_type = PurposeWord)]
    purpose: &'static str,
    // A file that is here was checked already.
    #[schema(inline, value_type = StatusWord)]
    status: &'static str,
}

words! {
    FileWord: "file";
    PurposeWord: "assistants" | "batch" | "fine-tune" | "vision" | "user_data" | "evals" | "batch_output";
    StatusWord: "processed";
}

/// A file, for the reference.
pub(super) fn sample() -> serde_json::Value {
    json!({"id": "file-019ab0c3e5f07d0aa1b2c3d4e5f60718", "object": "file", "bytes": 120_000, "created_at": 1_795_305_600,
        "expires_at": null, "filename": "training.jsonl", "purpose": "fine-tune", "status": "processed"})
}

impl<'a> From<&'a StoredFile> for FileView<'a> {
    fn from(file: &'a StoredFile) -> Self {
        Self {
            id: prefix::of(prefix::FILE, &file.id.simple()),
            object: "file",
            bytes: file.size,
            created_at: file.created.unix_seconds(),
            expires_at: file.expires.map(|end| end.unix_seconds()),
            filename: &file.name,
            purpose: file.purpose.as_str(),
            status: "processed",
        }
    }
}
