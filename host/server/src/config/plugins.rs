//! `[plugins]` and `[[instance]]`.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use atelier_domain::id::InstanceName;
use atelier_domain::plugin::InstanceConfig;

use super::secret::SecretSource;
use super::{Local, MissingSecret, Section};

/// What to do with a plugin that no trusted key signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustMode {
    /// Refuse it.
    Strict,
    /// Let it in, and say so loudly.
    Warn,
    /// Let it in.
    Off,
}

/// A publisher's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The first part of its plugins' ids.
    pub publisher: String,
    /// A minisign public key in base64.
    pub key: String,
}

/// Which plugins are let in.
#[derive(Clone, Debug)]
pub struct Plugins {
    pub trust: TrustMode,
    /// The word in the file, where it is none of the three: to be logged, since it counts as strict.
    pub unknown_trust: Option<String>,
    pub trusted_keys: Vec<TrustedKey>,
}

impl Plugins {
    pub(super) fn read(section: &mut Section) -> Self {
        let word = section.text("trust");
        let (trust, unknown_trust) = match word.as_deref() {
            None | Some("strict") => (TrustMode::Strict, None),
            Some("warn") => (TrustMode::Warn, None),
            Some("off") => (TrustMode::Off, None),
            Some(other) => (TrustMode::Strict, Some(other.to_owned())),
        };
        let trusted_keys = section.sections("trusted_keys", |entry| {
            let (publisher, key) = (entry.text("publisher"), entry.text("key"));
            if publisher.is_none() {
                entry.wrong("publisher", "is missing: the publisher whose plugins this key signs");
            }
            if !key.as_ref().is_some_and(|key| key.starts_with("RW") && key.len() == 56) {
                entry.wrong(
                    "key",
                    "must be a minisign public key: 56 characters of base64 that begin with RW",
                );
            }
            Some(TrustedKey { publisher: publisher?, key: key? })
        });
        Self { trust, unknown_trust, trusted_keys }
    }
}

/// One `[[instance]]`.
pub(super) fn instance(
    section: &mut Section,
    folder: &Path,
    missing: &mut Vec<MissingSecret>,
) -> Option<InstanceConfig> {
    let name = section.text("name");
    let parsed = name.as_deref().map(str::parse::<InstanceName>);
    match &parsed {
        None => section.wrong("name", "is missing: the first part of its models' ids, such as \"openai\""),
        Some(Err(error)) => section.wrong("name", error.to_string()),
        Some(Ok(_)) => {}
    }
    let plugin = section.text("plugin");
    if plugin.as_ref().is_none_or(|plugin| plugin.split('/').filter(|part| !part.is_empty()).count() != 2) {
        section.wrong(
            "plugin",
            "must be publisher/name, such as \"atelier/openai\"; `atelier plugin list` shows them",
        );
    }
    let base_url =
        section.text("base_url").map(|url| url.trim_end_matches('/').to_owned()).unwrap_or_default();
    if !(base_url.is_empty() || base_url.starts_with("http://") || base_url.starts_with("https://")) {
        section.wrong("base_url", "must begin with http:// or https://");
    }
    let (hosts, private_hosts) = (section.texts("hosts"), section.texts("private_hosts"));
    let settings = match serde_json::to_value(section.table("settings")) {
        Ok(serde_json::Value::Object(settings)) => settings,
        Ok(_) | Err(_) => {
            section.wrong("settings", "must be a table of JSON values");
            serde_json::Map::new()
        }
    };
    let mut secrets = BTreeMap::new();
    for (secret, source) in section.map("secrets", SecretSource::of) {
        match source.read(folder) {
            Ok(value) => drop(secrets.insert(secret, value)),
            Err(reason) => {
                let instance = name.clone().unwrap_or_default();
                missing.push(MissingSecret { instance, secret, reason });
            }
        }
    }
    Some(InstanceConfig {
        name: parsed?.ok()?,
        plugin: plugin?,
        base_url,
        hosts,
        private_hosts,
        settings,
        secrets,
    })
}

/// Each name is used once, and `local` is the in-house models' own.
pub(super) fn check_names(root: &mut Section, instances: &mut [InstanceConfig], local: &Local) {
    let mut seen = HashSet::new();
    for (i, instance) in instances.iter().enumerate() {
        let name = instance.name.as_str();
        if local.enabled && name == crate::local::INSTANCE {
            root.wrong(
                &format!("instance[{i}].name"),
                "\"local\" is the name of the in-house models; choose another",
            );
        }
        if !seen.insert(name.to_owned()) {
            root.wrong(
                &format!("instance[{i}].name"),
                format!("{name:?} is already used; names must differ"),
            );
        }
    }
}
