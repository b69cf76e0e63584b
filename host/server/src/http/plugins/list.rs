//! `GET /api/v1/plugins`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::view::PluginView;
use crate::http::query::query;
use crate::http::{ApiError, Call, Reply, answer};

#[derive(Serialize)]
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
