//! Plugins as administrators see them.

use atelier_domain::plugin::{InstalledPlugin, PluginVersion, Trust};
use atelier_service::plugins::{Change, Inspection};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = Plugin)]
pub(super) struct PluginView<'a> {
    /// `publisher/name`.
    pub id: &'a str,
    pub name: &'a str,
    pub enabled: bool,
    pub current: VersionView<'a>,
    /// What a rollback goes back to.
    #[schema(required)]
    pub previous: Option<VersionView<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PluginVersion)]
pub(super) struct VersionView<'a> {
    pub version: &'a str,
    /// BLAKE3 of the file.
    pub digest: &'a str,
    /// The key's id; `null` for a file that is not signed.
    #[schema(required)]
    pub signed_by: Option<&'a str>,
    pub capabilities: &'a [String],
    #[schema(format = DateTime)]
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
#[derive(Serialize, ToSchema)]
#[schema(as = PluginInspection)]
pub(super) struct InspectionView<'a> {
    id: &'a str,
    version: &'a str,
    digest: &'a str,
    #[schema(required)]
    signed_by: Option<&'a str>,
    capabilities: &'a [String],
    /// What it would be given, a line each.
    permissions: Vec<&'a str>,
    /// The installed version.
    #[schema(required)]
    replaces: Option<&'a str>,
    /// Permissions that the installed version does not have.
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

/// A plugin, for the reference.
pub(super) fn sample() -> serde_json::Value {
    serde_json::json!({"id": "atelier/openai", "name": "OpenAI", "enabled": true, "current": {"version": "0.1.0",
        "digest": "4c6f…", "signed_by": "9B4E1C3A5D7F2E60", "capabilities": ["catalog", "chat"],
        "installed": "2026-11-22T00:00:00.000Z"}, "previous": null})
}

fn key_of(trust: &Trust) -> Option<&str> {
    match trust {
        Trust::Signed { key_id } => Some(key_id),
        Trust::Unsigned { .. } => None,
    }
}
