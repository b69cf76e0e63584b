//! `POST /api/v1/templates/{id}`.

use super::body::{self, Body};
use super::view::{TemplateView, sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer, body as json};

/// Writes a template's next version.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let id = path(&mut call, "id").await?;
    let new = json::parse::<Body>(&bytes)?.into_new()?;
    let template = call.app.templates.change(call.caller()?, id, new).await?;
    answer::json(&TemplateView::new(&template, true))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let mut next = body::sample();
    if let Some(members) = next.as_object_mut() {
        members.remove("prompt");
    }
    Operation::new("changeTemplate", Tag::Templates, "Write a template's next version")
        .about(
            "The whole template as it is to be, but for `prompt`, `negative_prompt` and `options`, each of which stays as it was if it is \
             left out. Generations that were begun go on with their version. For administrators.",
        )
        .path("id", id(), "The template.")
        .takes::<Body>(next)
        .answers::<TemplateView<'_>>(200, "The template's new version.", sample())
        .refuses(&[404, 409])
}
