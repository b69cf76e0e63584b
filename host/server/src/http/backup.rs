//! `GET /api/v1/admin/backup`.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};

use super::openapi::{Operation, Tag, form_file, words_schema};
use super::query::query;
use super::{ApiError, Call, Reply};

/// Its path.
pub(super) const PATH: &str = "/api/v1/admin/backup";

/// Streams a backup of everything, made while it is taken.
pub(super) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["secrets"])?;
    let with_secrets = match query.get("secrets").map(String::as_str) {
        None | Some("exclude") => false,
        Some("include") => true,
        Some(_) => return Err(ApiError::invalid("secrets", "must be `exclude` or `include`")),
    };
    let by = call.caller()?.user();
    let pieces = call.app.backups.begin(with_secrets)?;
    tracing::info!(%by, with_secrets, "a backup was begun");
    let mut response = Response::new(Body::from(pieces));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    headers
        .insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"atelier-backup.tar\""));
    Ok(Reply { response, provider_time: None, is_stream: true })
}

/// What the reference says of it.
pub(super) fn describe() -> Operation {
    Operation::new("getBackup", Tag::Backups, "Make a backup")
        .about(
            "Everything that is stored, at one moment, while the server goes on: rows, the blobs that they name, plugins, the server's own keys \
             and its configuration, as one tar archive with a manifest at its end. `atelier backup` takes and checks it, `atelier restore` makes a \
             server of it. One that ends without its manifest is none. It holds what all users have stored: keep it as safe as the server.",
        )
        .query("secrets", words_schema(&["exclude", "include"]), "Whether secrets that stand in the configuration are in it; `exclude` without it.")
        .empty(200, "The archive.")
        .or("application/x-tar", form_file())
        .refuses(&[409])
}
