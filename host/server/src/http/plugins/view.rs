//! Plugins as administrators see them.

use atelier_domain::plugin::{InstalledPlugin, PluginVersion, Trust};
use atelier_service::plugins::{Change, Inspection};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct PluginView<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub enabled: bool,
    pub current: VersionView<'a>,
    /// What a rollback goes back to.
    pub previous: Option<VersionView<'a>>,
}

#[derive(Serialize)]
pub(super) struct VersionView<'a> {
    pub version: &'a str,
    pub digest: &'a str,
    pub signed_by: Option<&'a str>,
    pub capabilities: &'a [String],
    pub installed: String,
}

impl<'a> From<&'a PluginVersion> for VersionView<'a> {
    fn from(version: &'a PluginVersion) -> Self {
        Self {
            version: &version.manifest.version,
            digest: &version.digest,
            signed_by: key_of(&version.trust),
            capabilities: &version.capabilities,
            installed: version.installed.rfc3339(),
        }
    }
}

impl<'a> From<&'a InstalledPlugin> for PluginView<'a> {
    fn from(plugin: &'a InstalledPlugin) -> Self {
        Self {
            id: plugin.id(),
            name: &plugin.current.manifest.name,
            enabled: plugin.enabled,
            current: (&plugin.current).into(),
            previous: plugin.previous.as_deref().map(VersionView::from),
        }
    }
}

/// What an administrator should know before saying yes.
#[derive(Serialize)]
pub(super) struct InspectionView<'a> {
    id: &'a str,
    version: &'a str,
    digest: &'a str,
    signed_by: Option<&'a str>,
    capabilities: &'a [String],
    permissions: Vec<&'a str>,
    /// The installed version.
    replaces: Option<&'a str>,
    added: Vec<&'a str>,
    dropped: Vec<&'a str>,
    /// Says yes to exactly this.
    consent: &'a str,
}

impl<'a> From<&'a Inspection> for InspectionView<'a> {
    fn from(inspection: &'a Inspection) -> Self {
        let (mut added, mut dropped) = (Vec::new(), Vec::new());
        for change in &inspection.changes {
            match change {
                Change::Added(line) => added.push(line.as_str()),
                Change::Dropped(line) => dropped.push(line.as_str()),
            }
        }
        Self {
            id: &inspection.examined.manifest.id,
            version: &inspection.examined.manifest.version,
            digest: &inspection.examined.digest,
            signed_by: key_of(&inspection.trust),
            capabilities: &inspection.examined.capabilities,
            permissions: inspection.permissions.lines().collect(),
            replaces: inspection.replaces.as_deref(),
            added,
            dropped,
            consent: &inspection.consent,
        }
    }
}

fn key_of(trust: &Trust) -> Option<&str> {
    match trust {
        Trust::Signed { key_id } => Some(key_id),
        Trust::Unsigned { .. } => None,
    }
}
