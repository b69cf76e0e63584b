//! What a plugin is given, and how that differs from what its installed version was given.

use std::collections::BTreeSet;

use atelier_domain::manifest::{Manifest, SecretPlace};

/// What a plugin asks for, one line each, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions(BTreeSet<String>);

/// A permission that an upgrade would add or drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Added(String),
    Dropped(String),
}

impl Permissions {
    /// Of a manifest. A component's imports give no more: they are checked against what every plugin is given.
    pub fn of(manifest: &Manifest) -> Self {
        let mut lines = BTreeSet::new();
        for host in &manifest.hosts {
            lines.insert(format!("reach {host}"));
        }
        if manifest.default_base_url.is_some() || !manifest.secrets.is_empty() {
            lines.insert("reach the base URL of its instances".to_owned());
        }
        for host in &manifest.download_hosts {
            lines.insert(format!("have results fetched from {host}"));
        }
        for secret in &manifest.secrets {
            let place = match secret.place {
                SecretPlace::Bearer => "as a bearer token",
                SecretPlace::Header => "in a header",
                SecretPlace::Query => "in the query",
                SecretPlace::Basic => "as basic authentication",
                SecretPlace::Path => "in the path",
                SecretPlace::Sigv4 => "to sign requests as AWS does",
                SecretPlace::Jwt => "to sign short-lived tokens",
                SecretPlace::Oauth2Client => "to fetch tokens as an OAuth 2.0 client",
                SecretPlace::GoogleServiceAccount => "to fetch tokens as a Google service account",
                SecretPlace::Webhook => "to verify callbacks",
            };
            let hosts =
                if secret.hosts.is_empty() { "the base URL".to_owned() } else { secret.hosts.join(", ") };
            lines.insert(format!("use the secret {} {place}, at {hosts}", secret.name));
            if let Some(oauth2) = &secret.oauth2_client {
                lines.insert(format!("send the secret {} to {}", secret.name, oauth2.token_url));
            }
        }
        if let Some(mib) = manifest.limits.memory_mib {
            lines.insert(format!("use {mib} MiB of memory per call"));
        }
        Self(lines)
    }

    /// The lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// What is new and what is gone.
    pub fn changes_since(&self, before: Option<&Self>) -> Vec<Change> {
        let nothing = BTreeSet::new();
        let before = before.map_or(&nothing, |before| &before.0);
        let added = self.0.difference(before).cloned().map(Change::Added);
        let dropped = before.difference(&self.0).cloned().map(Change::Dropped);
        added.chain(dropped).collect()
    }

    /// Stands for a yes to this file with these permissions.
    pub fn consent_token(&self, digest: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(digest.as_bytes());
        for line in &self.0 {
            hasher.update(b"\n");
            hasher.update(line.as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }
}
