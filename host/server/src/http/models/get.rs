//! `GET /v1/models/{id}`; the id's slashes raw or encoded.

use axum::RequestPartsExt;
use axum::extract::Path;

use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::view::{ModelView, sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer};

/// One model, by id or alias.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let path = call.parts.extract::<Path<String>>().await;
    let Path(id) = path.map_err(|error| ApiError::invalid("model", error.body_text()))?;
    let found = call.app.registry.find(&id, &call.caller()?.scope).await?;
    answer::json(&ModelView::of(&found.model, false))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getModel", Tag::Models, "Get a model")
        .path(
            "id",
            ObjectBuilder::new().schema_type(Type::String),
            "`instance/model` or an alias; its slashes raw or as `%2F`.",
        )
        .answers::<ModelView<'_>>(200, "The model.", sample())
        .refuses(&[404])
}
