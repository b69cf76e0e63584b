//! `POST /api/v1/templates/clear`.

use atelier_domain::template::TemplateFilter;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer, body};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TemplateClearing)]
struct Body {
    /// Of this scene alone.
    scene: Option<String>,
    /// With this tag alone.
    tag: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TemplatesCleared)]
struct ClearedView {
    archived: usize,
}

/// Archives all templates, or those of a scene or tag.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let Body { scene, tag } = body::parse(&bytes)?;
    let archived = call.app.templates.clear(call.caller()?, TemplateFilter { scene, tag }).await?;
    answer::json(&ClearedView { archived })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("clearTemplates", Tag::Templates, "Archive many templates")
        .about("All of them, or those of a scene or tag. For administrators.")
        .takes::<Body>(json!({"scene": "shop"}))
        .answers::<ClearedView>(200, "How many were archived.", json!({"archived": 12}))
}
