//! `/api/v1/plugins`: what is installed, and installing at run time.

pub(super) mod change;
mod file;
pub(super) mod get;
pub(super) mod inspect;
pub(super) mod install;
pub(super) mod list;
mod view;

use atelier_service::ServiceError;
use atelier_service::plugins::PluginsError;

use super::ApiError;
use crate::app::App;

/// As [`told`], counting files whose signature was refused (O-3).
fn told_of_file(app: &App, error: PluginsError) -> ApiError {
    if matches!(error, PluginsError::Untrusted(_)) {
        app.metrics.signature_refused();
    }
    told(error)
}

/// An error of the plugin office as told to an administrator, who may know all of it.
fn told(error: PluginsError) -> ApiError {
    let text = error.to_string();
    match error {
        PluginsError::Unusable(_) => ApiError::invalid("component", text),
        PluginsError::Untrusted(_) => ApiError::invalid("signature", text),
        PluginsError::ConsentNeeded(_) => ApiError::invalid(
            "consent",
            "installing needs consent: send the file to POST /api/v1/plugins/inspect, read what it asks for, and repeat this \
             with the `consent` that it answers",
        ),
        PluginsError::NoPrevious(_) => ApiError::invalid("id", text),
        PluginsError::AlreadyInstalled { id, version } => {
            ServiceError::Exists { what: format!("{id} {version}") }.into()
        }
        PluginsError::NotFound(_) => ServiceError::NotFound { what: "plugin of this id" }.into(),
        PluginsError::Store(error) => ServiceError::from(error).into(),
        PluginsError::Folder(_) => ApiError::bug(text),
    }
}
