//! `GET /api/v1/plugins`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{PluginView, sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::query::query;
use crate::http::{ApiError, Call, Reply, answer};

#[derive(Serialize, ToSchema)]
#[schema(as = PluginPage)]
struct Page<'a> {
    data: Vec<PluginView<'a>>,
    /// Configured instance → why it cannot be called.
    problems: BTreeMap<String, String>,
}

/// What is installed, and which instances cannot be called.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    query(&call.parts.uri, &[])?;
    let plugins = call.app.plugins.list().await.map_err(super::told)?;
    answer::json(&Page {
        data: plugins.iter().map(PluginView::from).collect(),
        problems: call.app.instances.problems(),
    })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("listPlugins", Tag::Plugins, "List plugins")
        .about("What is installed, and which configured instances cannot be called, with the reason.")
        .answers::<Page<'_>>(200, "The plugins.", json!({"data": [sample()], "problems": {}}))
        .refuses(&[400])
}
