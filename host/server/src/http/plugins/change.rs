//! `POST /api/v1/plugins/{publisher}/{name}/enable`, `…/disable`, `…/rollback` and `…/remove`.

use http::StatusCode;

use super::told;
use super::view::PluginView;
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer, gate};

/// The plugin that a path names.
pub(super) async fn id(call: &mut Call) -> Result<String, ApiError> {
    let publisher: String = path(call, "publisher").await?;
    let name: String = path(call, "name").await?;
    Ok(format!("{publisher}/{name}"))
}

/// Lets a plugin's instances be called.
pub(in crate::http) async fn enable(call: Call) -> Result<Reply, ApiError> {
    set_enabled(call, true).await
}

/// Stops a plugin's instances from being called.
pub(in crate::http) async fn disable(call: Call) -> Result<Reply, ApiError> {
    set_enabled(call, false).await
}

async fn set_enabled(mut call: Call, enabled: bool) -> Result<Reply, ApiError> {
    let id = id(&mut call).await?;
    let plugin = call.app.plugins.set_enabled(&id, enabled).await.map_err(told)?;
    call.app.instances.reload(&id).await.map_err(told)?;
    answer::json(&PluginView::from(&plugin))
}

/// Goes back to the version before the last upgrade.
pub(in crate::http) async fn roll_back(mut call: Call) -> Result<Reply, ApiError> {
    let id = id(&mut call).await?;
    let plugin = call.app.plugins.roll_back(&id).await.map_err(told)?;
    call.app.instances.reload(&id).await.map_err(told)?;
    answer::json(&PluginView::from(&plugin))
}

/// Forgets a plugin and its files.
pub(in crate::http) async fn remove(mut call: Call) -> Result<Reply, ApiError> {
    let id = id(&mut call).await?;
    call.app.plugins.remove(&id).await.map_err(told)?;
    call.app.instances.reload(&id).await.map_err(told)?;
    Ok(gate::empty(StatusCode::NO_CONTENT))
}
