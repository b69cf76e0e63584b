//! `POST /api/v1/templates/seed`.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::body::{self, Body as TemplateBody};
use super::view::{TemplateView, sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer, body as wire};

const TEMPLATES_MAX: usize = 100;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TemplateSeed)]
struct Body {
    #[schema(min_items = 1, max_items = 100)]
    templates: Vec<TemplateBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TemplatesSeeded)]
struct SeededView<'a> {
    /// As they are now, in the order in which they were sent.
    data: Vec<TemplateView<'a>>,
    created: usize,
    /// How many have a new version.
    changed: usize,
}

/// Writes many templates, all of them or none.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let body: Body = wire::parse(&bytes)?;
    if !(1..=TEMPLATES_MAX).contains(&body.templates.len()) {
        return Err(ApiError::invalid("templates", format!("must be 1 to {TEMPLATES_MAX} templates")));
    }
    let all = body
        .templates
        .into_iter()
        .enumerate()
        .map(|(i, new)| new.into_new_at(i))
        .collect::<Result<_, _>>()?;
    let seeded = call.app.templates.seed(call.caller()?, all).await?;
    let data = seeded.templates.iter().map(|template| TemplateView::new(template, true)).collect();
    answer::json(&SeededView { data, created: seeded.created, changed: seeded.changed })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("seedTemplates", Tag::Templates, "Write many templates")
        .about(
            "All of them or none: a template whose name is new is made, one that differs from the template of its name becomes its next \
             version, and the same seed sent again changes nothing. For administrators.",
        )
        .takes::<Body>(json!({"templates": [body::sample()]}))
        .answers::<SeededView<'_>>(200, "The templates.", json!({"data": [sample()], "created": 1, "changed": 0}))
        .refuses(&[404, 409])
}
