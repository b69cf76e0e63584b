//! Installed plugins and their configured instances.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::InstanceName;
use crate::manifest::Manifest;
use crate::model::Description;
use crate::time::Timestamp;

/// Who vouches for a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Signed by this trusted minisign key (its id in hexadecimal).
    Signed { key_id: String },
    /// Let in without a good signature, because the operator's trust mode allowed it; says what was wrong.
    Unsigned { reason: String },
}

/// One version of a plugin in the host's store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginVersion {
    pub manifest: Manifest,
    /// BLAKE3 of the component file, in hexadecimal: also its name in the store.
    pub digest: String,
    pub trust: Trust,
    /// Names of the exported capability interfaces, e.g. `chat`.
    pub capabilities: Vec<String>,
    pub description: Description,
    pub installed: Timestamp,
}

/// An installed plugin: the lock file's entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstalledPlugin {
    pub current: PluginVersion,
    /// Kept for rollback.
    pub previous: Option<Box<PluginVersion>>,
    pub enabled: bool,
}

impl InstalledPlugin {
    /// `publisher/name`.
    pub fn id(&self) -> &str {
        &self.current.manifest.id
    }
}

/// A configured instance of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceConfig {
    pub name: InstanceName,
    /// `publisher/name` of its plugin.
    pub plugin: String,
    /// Without a trailing slash.
    pub base_url: String,
    /// Hosts granted beside the base URL's: `host`, `*.host` or `host:port`.
    pub hosts: Vec<String>,
    /// `host:port` that may be reached although private or plain HTTP.
    pub private_hosts: Vec<String>,
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Name → value.
    pub secrets: BTreeMap<String, SecretValue>,
}

/// What a user brings of their own for an instance: put into requests in the place of the instance's secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnKey {
    pub instance: InstanceName,
    /// Name → value, for every secret that the plugin needs.
    pub secrets: BTreeMap<String, SecretValue>,
    pub set: Timestamp,
}

/// A secret in the host's memory. It prints as dots.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretValue(String);

impl SecretValue {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
    /// The secret itself: only for the egress path.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretValue(…)")
    }
}
