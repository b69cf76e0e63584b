//! `/v1/files`: uploads, kept in memory within a bound.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{missing, not_found, required};
use crate::call::{Call, created_at};
use crate::reply::{Answer, Reply};
use crate::server::Shared;

/// Most of a file's content kept, in bytes; with the shelf's bound, 64 MiB in all.
const CONTENT_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, Clone)]
pub(super) struct Stored {
    body: Value,
    content: Bytes,
}

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(call): Extension<Arc<Call>>,
) -> Answer {
    let file = call.form.field("file").ok_or_else(|| missing("file"))?;
    let purpose = required(&call, "purpose")?;
    let id = call.id("file-");
    let body = json!({
        "id": id,
        "object": "file",
        "bytes": file.data.len(),
        "created_at": created_at(call.number),
        "expires_at": null,
        "filename": file.file_name.as_deref().unwrap_or("upload"),
        "purpose": purpose,
        "status": "processed",
    });
    // A copy, so that a kept slice does not hold the whole request.
    let content = Bytes::copy_from_slice(&file.data[..file.data.len().min(CONTENT_BYTES_MAX)]);
    shared.openai.files.put(&id, content.len(), Stored { body: body.clone(), content });
    Ok(Reply::json(&body))
}

pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Reply {
    let data: Vec<Value> = shared.openai.files.all().into_iter().map(|file| file.body).collect();
    Reply::json(&json!({"object": "list", "data": data, "has_more": false}))
}

pub(super) async fn get(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let file = shared.openai.files.get(&id).ok_or_else(|| not_found("File object", &id))?;
    Ok(Reply::json(&file.body))
}

pub(super) async fn content(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let file = shared.openai.files.get(&id).ok_or_else(|| not_found("File object", &id))?;
    Ok(Reply::bytes(StatusCode::OK, "application/octet-stream", file.content))
}

pub(super) async fn delete(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    shared.openai.files.take(&id).ok_or_else(|| not_found("File object", &id))?;
    Ok(Reply::json(&json!({"id": id, "object": "file", "deleted": true})))
}
