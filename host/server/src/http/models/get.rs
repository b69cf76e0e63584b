//! `GET /v1/models/{id}`; the id's slashes raw or encoded.

use axum::RequestPartsExt;
use axum::extract::Path;

use super::view::ModelView;
use crate::http::{ApiError, Call, Reply, answer};

/// One model, by id or alias.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let path = call.parts.extract::<Path<String>>().await;
    let Path(id) = path.map_err(|error| ApiError::invalid("model", error.body_text()))?;
    let found = call.app.registry.find(&id, &call.caller()?.scope).await?;
    answer::json(&ModelView::of(&found.model, false))
}
