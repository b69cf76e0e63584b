//! `GET /api/v1/templates/{id}`.

use atelier_domain::account::Scope;

use super::view::{TemplateView, sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer};

/// A template that the caller may use.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let caller = call.caller()?;
    let template = call.app.templates.get(caller, id).await?;
    answer::json(&TemplateView::new(&template, caller.principal.may(Scope::Admin)))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getTemplate", Tag::Templates, "Get a template")
        .about("Its newest version, without its prompt.")
        .path("id", id(), "The template.")
        .answers::<TemplateView<'_>>(200, "The template.", sample())
        .refuses(&[404])
}
