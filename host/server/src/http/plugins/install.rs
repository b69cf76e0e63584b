//! `POST /api/v1/plugins`.

use http::StatusCode;

use super::view::{PluginView, sample};
use super::{file, told, told_of_file};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer};

/// Installs or upgrades a plugin; running calls go on with the version they began with.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let sent = file::read(&mut call).await?;
    let plugins = &call.app.plugins;
    let plugin = plugins.install(sent.component, sent.signature.as_deref(), &sent.consent).await;
    let plugin = plugin.map_err(|error| told_of_file(&call.app, error))?;
    call.app.instances.reload(plugin.id()).await.map_err(told)?;
    answer::json_with(StatusCode::CREATED, &PluginView::from(&plugin))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("installPlugin", Tag::Plugins, "Install or upgrade a plugin")
        .about(
            "Checks signature and permissions, asks for `consent` where there are any (look first with `inspectPlugin`), compiles within \
             limits and switches over; running calls go on with the version that they began with.",
        )
        .takes_form::<file::FormSchema>()
        .answers::<PluginView<'_>>(201, "The plugin, installed.", sample())
        .refuses(&[409])
}
