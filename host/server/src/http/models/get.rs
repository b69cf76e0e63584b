//! `GET /v1/models/{id}`; the id's slashes raw or encoded.

use axum::RequestPartsExt;
use axum::extract::Path;

use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::view::{AnyModel, ModelView, aliased, sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer};

/// One model, by id or alias.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let path = call.parts.extract::<Path<String>>().await;
    let Path(id) = path.map_err(|error| ApiError::invalid("model", error.body_text()))?;
    let caller = call.caller()?;
    if call.app.registry.aliases(caller).iter().any(|(name, _)| *name == id) {
        let catalogues = call.app.registry.all(caller.depth).await;
        let aliases = aliased(&call.app, caller, &catalogues);
        if let Some(alias) = aliases.into_iter().find(|alias| alias.is(&id)) {
            return answer::json(&AnyModel::Alias(alias));
        }
    }
    let found = call.app.registry.find(&id, caller).await?;
    answer::json(&AnyModel::Model(ModelView::of(&found.model, false)))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getModel", Tag::Models, "Get a model")
        .path(
            "id",
            ObjectBuilder::new().schema_type(Type::String),
            "`instance/model` or an alias; its slashes raw or as `%2F`.",
        )
        .answers::<AnyModel<'_>>(200, "The model.", sample())
        .refuses(&[404])
}
