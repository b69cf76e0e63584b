//! `GET /api/v1/plugins/{publisher}/{name}`.

use super::change::on_plugin;
use super::view::PluginView;
use crate::http::openapi::Operation;
use crate::http::{ApiError, Call, Reply, answer};

/// One installed plugin.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = super::change::id(&mut call).await?;
    let plugin = call.app.plugins.get(&id).await.map_err(super::told)?;
    answer::json(&PluginView::from(&plugin))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    on_plugin("getPlugin", "Get a plugin", "")
}
