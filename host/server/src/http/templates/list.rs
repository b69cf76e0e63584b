//! `GET /api/v1/templates?scene=…&tag=…&before=ID&limit=N`.

use std::collections::HashMap;

use atelier_domain::account::Scope;
use atelier_domain::id::TemplateId;
use atelier_domain::template::TemplateFilter;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{TemplateView, sample};
use crate::http::openapi::{Operation, Tag, id, number, text};
use crate::http::query::{page_size, parsed, query};
use crate::http::{ApiError, Call, Reply, answer};

const PAGE_USUAL: usize = 20;
const PAGE_MAX: usize = 100;
const WORD_BYTES_MAX: usize = 256;

#[derive(Serialize, ToSchema)]
#[schema(as = TemplatePage)]
struct Page<'a> {
    data: Vec<TemplateView<'a>>,
    /// What to send as `before` for the next page; `null` on the last.
    #[schema(required)]
    next: Option<String>,
}

/// The templates that the caller may use.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["scene", "tag", "before", "limit"])?;
    let filter = TemplateFilter { scene: word(&query, "scene")?, tag: word(&query, "tag")? };
    let before = query.get("before").map(|text| parsed::<TemplateId>("before", text)).transpose()?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let caller = call.caller()?;
    let mut templates = call.app.templates.list(caller, filter, before, limit + 1).await?;
    let has_more = templates.len() > limit;
    templates.truncate(limit);
    let next = has_more.then(|| templates.last().map(|template| template.id.to_string())).flatten();
    let is_administrator = caller.principal.may(Scope::Admin);
    let data = templates.iter().map(|template| TemplateView::new(template, is_administrator)).collect();
    answer::json(&Page { data, next })
}

fn word(query: &HashMap<String, String>, name: &str) -> Result<Option<String>, ApiError> {
    match query.get(name) {
        Some(word) if word.is_empty() || word.len() > WORD_BYTES_MAX => {
            Err(ApiError::invalid(name, format!("must have 1 to {WORD_BYTES_MAX} bytes")))
        }
        word => Ok(word.cloned()),
    }
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("listTemplates", Tag::Templates, "List templates")
        .about("Those that you may use, newest first. No prompt is among it.")
        .query("scene", text(64), "Of this scene alone.")
        .query("tag", text(64), "With this tag alone.")
        .query("before", id(), "Begin after this template: the `next` of the page before.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .answers::<Page<'_>>(200, "A page of templates.", json!({"data": [sample()], "next": null}))
}
