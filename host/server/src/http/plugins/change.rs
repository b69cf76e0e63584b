//! `POST /api/v1/plugins/{publisher}/{name}/enable`, `…/disable`, `…/rollback` and `…/remove`.

use atelier_domain::manifest::is_plugin_id;
use atelier_service::plugins::PluginsError;
use http::StatusCode;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::told;
use super::view::{PluginView, sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer, gate};

/// The plugin that a path names.
pub(super) async fn id(call: &mut Call) -> Result<String, ApiError> {
    let publisher: String = path(call, "publisher").await?;
    let name: String = path(call, "name").await?;
    let id = format!("{publisher}/{name}");
    // No plugin has another, and the store takes no key of any length.
    if is_plugin_id(&id) { Ok(id) } else { Err(told(PluginsError::NotFound(id))) }
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

/// What the reference says of enabling.
pub(in crate::http) fn describe_enable() -> Operation {
    on_plugin("enablePlugin", "Enable a plugin", "Lets the plugin's instances be called.")
}

/// What the reference says of disabling.
pub(in crate::http) fn describe_disable() -> Operation {
    on_plugin(
        "disablePlugin",
        "Disable a plugin",
        "Stops the plugin's instances from being called; running calls go on to their end.",
    )
}

/// What the reference says of rolling back.
pub(in crate::http) fn describe_roll_back() -> Operation {
    on_plugin(
        "rollBackPlugin",
        "Roll a plugin back",
        "Goes back to the version before the last upgrade; 400 where there is none.",
    )
}

/// What the reference says of removing.
pub(in crate::http) fn describe_remove() -> Operation {
    named(Operation::new("removePlugin", Tag::Plugins, "Remove a plugin"))
        .about("Forgets the plugin and its files. Its configured instances stay, and say that it is missing.")
        .empty(204, "It is gone.")
}

/// An operation on one plugin that answers with it.
pub(super) fn on_plugin(id: &'static str, summary: &'static str, about: &'static str) -> Operation {
    let operation = named(Operation::new(id, Tag::Plugins, summary)).about(about);
    operation.answers::<PluginView<'_>>(200, "The plugin as it is now.", sample())
}

fn named(operation: Operation) -> Operation {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let operation = operation.path("publisher", text(), "The part of its id before the slash.");
    operation.path("name", text(), "The part of its id after the slash.").refuses(&[404])
}
