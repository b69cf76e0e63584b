//! `POST /api/v1/plugins`.

use http::StatusCode;

use super::view::PluginView;
use super::{file, told};
use crate::http::{ApiError, Call, Reply, answer};

/// Installs or upgrades a plugin; running calls go on with the version they began with.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let sent = file::read(&mut call).await?;
    let plugins = &call.app.plugins;
    let plugin =
        plugins.install(sent.component, sent.signature.as_deref(), &sent.consent).await.map_err(told)?;
    call.app.instances.reload(plugin.id()).await.map_err(told)?;
    answer::json_with(StatusCode::CREATED, &PluginView::from(&plugin))
}
