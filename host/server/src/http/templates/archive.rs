//! `POST /api/v1/templates/{id}/archive`.

use http::StatusCode;

use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, gate};

/// Archives a template.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    call.app.templates.archive(call.caller()?, id).await?;
    Ok(gate::empty(StatusCode::NO_CONTENT))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("archiveTemplate", Tag::Templates, "Archive a template")
        .about("Nobody can use it any more, and its name is free. Generations that were begun go on. For administrators.")
        .path("id", id(), "The template.")
        .empty(204, "It is archived.")
        .refuses(&[404])
}
