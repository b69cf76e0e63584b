//! `POST /api/v1/templates`.

use http::StatusCode;

use super::body::{self, Body};
use super::view::{TemplateView, sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer, body as json};

/// Makes a template.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let new = json::parse::<Body>(&bytes)?.into_new()?;
    let template = call.app.templates.create(call.caller()?, new).await?;
    answer::json_with(StatusCode::CREATED, &TemplateView::new(&template, true))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("createTemplate", Tag::Templates, "Make a template")
        .about(
            "The prompt is checked and compiled; a mistake in it is told with its line. No answer ever shows the prompt again, nor the \
             negative prompt and the options. For administrators.",
        )
        .takes::<Body>(body::sample())
        .answers::<TemplateView<'_>>(201, "The template.", sample())
        .refuses(&[404, 409])
}
