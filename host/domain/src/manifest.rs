//! What a plugin says of itself: the JSON in its component's custom section `atelier:manifest`.

mod signer;
mod webhook;

use serde::{Deserialize, Serialize};

pub use signer::{ClientAuthentication, GoogleSpec, JwtAlgorithm, JwtSpec, OAuth2Spec, SigV4Spec};
pub use webhook::{WebhookScheme, WebhookSpec};

/// The manifest of a plugin. Unknown members are refused, so that a misspelt permission is not a missing one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// `publisher/name`.
    pub id: String,
    /// Semantic version of the plugin.
    pub version: String,
    /// Version of the provider contract, e.g. `0.1`.
    pub wit: String,
    /// For people.
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Where an instance goes unless the operator says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_base_url: Option<String>,
    /// Hosts it must reach beside the instance's base URL: `api.example.com`, `*.example.com` or `host:port`.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Hosts from which the host fetches results for it, without secrets.
    #[serde(default)]
    pub download_hosts: Vec<String>,
    /// Versions of its jobs' state that it can go on with.
    #[serde(default)]
    pub state_versions: Vec<u32>,
    /// JSON Schema (2020-12) of an instance's settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<serde_json::Value>,
    #[serde(default)]
    pub secrets: Vec<SecretSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSpec>,
    /// What it would like; the operator's profile decides.
    #[serde(default)]
    pub limits: WantedLimits,
}

/// A secret that the host puts into requests for the plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SecretSpec {
    pub name: String,
    #[serde(default)]
    pub title: Option<String>,
    /// Whether a request without it is refused.
    #[serde(default)]
    pub required: bool,
    pub place: SecretPlace,
    /// For `place = "header"`: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// For `place = "query"`: which parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Hosts it may be sent to; none means that of the base URL.
    #[serde(default)]
    pub hosts: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigv4: Option<SigV4Spec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2_client: Option<OAuth2Spec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google_service_account: Option<GoogleSpec>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretPlace {
    /// `authorization: Bearer …` (RFC 6750).
    Bearer,
    /// A header of its own.
    Header,
    /// A query parameter.
    Query,
    /// `authorization: Basic …` (RFC 7617); the secret is `user:password`.
    Basic,
    /// Where the URL says `{secret:NAME}`.
    Path,
    /// Never sent: it signs each request as AWS does.
    Sigv4,
    /// Never sent: it signs short-lived tokens.
    Jwt,
    /// Sent to a token endpoint alone, for tokens (RFC 6749 §4.4).
    Oauth2Client,
    /// Never sent: it signs assertions that buy tokens (RFC 7523).
    GoogleServiceAccount,
    /// Never sent: it verifies callbacks.
    Webhook,
}

/// Limits that a plugin asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WantedLimits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_mib: Option<u32>,
}

/// The most bytes of a manifest.
pub const MANIFEST_BYTES_MAX: usize = 256 * 1024;

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("the manifest has {0} bytes; at most {MANIFEST_BYTES_MAX} are allowed")]
    TooLarge(usize),
    #[error("the manifest is not what it should be: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the manifest's {field} is wrong: {why}")]
    Invalid { field: &'static str, why: String },
}

impl Manifest {
    /// Reads a manifest's JSON and does not check what it says.
    ///
    /// # Errors
    /// It is too large, or not of a manifest's shape.
    pub fn read(json: &[u8]) -> Result<Self, ManifestError> {
        if json.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLarge(json.len()));
        }
        Ok(serde_json::from_slice(json)?)
    }

    /// Reads and checks a manifest's JSON.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        let manifest = Self::read(json)?;
        match manifest.mistakes().into_iter().next() {
            Some(mistake) => Err(mistake),
            None => Ok(manifest),
        }
    }

    /// The part of the id before the slash: whose key must have signed it.
    pub fn publisher(&self) -> &str {
        self.id.split_once('/').map_or("", |(publisher, _)| publisher)
    }

    /// Every rule that it breaks.
    pub fn mistakes(&self) -> Vec<ManifestError> {
        let mut mistakes = Vec::new();
        let mut wrong =
            |field, why: &str| mistakes.push(ManifestError::Invalid { field, why: why.to_owned() });
        if !is_plugin_id(&self.id) {
            wrong("id", "it must read publisher/name in lower-case letters, digits and hyphens");
        }
        if !is_version(&self.version) {
            wrong("version", "it must be a semantic version such as 1.2.0");
        }
        if self.name.is_empty() || self.name.len() > 200 {
            wrong("name", "it must have 1 to 200 bytes");
        }
        for (field, hosts) in [("hosts", &self.hosts), ("download-hosts", &self.download_hosts)] {
            for host in hosts.iter().filter(|host| !is_host_pattern(host)) {
                wrong(field, &format!("{host:?} is not a host, *.host or host:port"));
            }
        }
        if self.secrets.len() > 16 {
            wrong("secrets", "there may be 16 at most");
        }
        for secret in &self.secrets {
            if !is_slug(&secret.name) {
                wrong("secrets", "a name may have lower-case letters, digits and hyphens");
            }
            if secret.place == SecretPlace::Header && secret.header.is_none() {
                wrong("secrets", "place = \"header\" needs header = \"…\"");
            }
            if secret.place == SecretPlace::Query && secret.parameter.is_none() {
                wrong("secrets", "place = \"query\" needs parameter = \"…\"");
            }
            if let Err(why) = secret.check_signer(&self.hosts) {
                wrong("secrets", &format!("{}: {why}", secret.name));
            }
        }
        if let Some(Err(why)) = self.webhook.as_ref().map(|webhook| webhook.check(&self.secrets)) {
            wrong("webhook", &why);
        }
        mistakes
    }
}

/// Whether a plugin can have this id: `publisher/name`, each of at most 63 lower-case letters, digits and hyphens.
pub fn is_plugin_id(text: &str) -> bool {
    text.split_once('/').is_some_and(|(publisher, name)| is_slug(publisher) && is_slug(name))
}

fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or("");
    let parts: Vec<&str> = core.split('.').collect();
    text.len() <= 64
        && parts.len() == 3
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit()))
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b))
}

fn is_host_pattern(text: &str) -> bool {
    let rest = text.strip_prefix("*.").unwrap_or(text);
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let host_ok = !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
    host_ok && host.contains('.') && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimal() -> serde_json::Value {
        serde_json::json!({"id": "acme/chat", "version": "1.0.0", "wit": "0.1", "name": "Acme"})
    }

    #[test]
    fn a_minimal_manifest_is_taken() {
        let manifest = Manifest::parse(minimal().to_string().as_bytes()).expect("valid");
        assert_eq!(manifest.publisher(), "acme");
    }

    #[test]
    fn a_misspelt_member_is_refused_and_named() {
        let mut json = minimal();
        json["hots"] = serde_json::json!(["api.acme.com"]);
        let error = Manifest::parse(json.to_string().as_bytes()).expect_err("unknown member").to_string();
        assert!(error.contains("hots"), "{error}");
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mut json = minimal();
        json["version"] = serde_json::json!("1");
        json["hosts"] = serde_json::json!(["*", "api.acme.com", "https://acme.com"]);
        let manifest: Manifest = serde_json::from_value(json).expect("the right shape");
        let told: Vec<_> = manifest.mistakes().iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("version") && told[2].contains("https://acme.com"), "{told:?}");
    }

    #[test]
    fn bad_ids_versions_and_hosts_are_refused() {
        for (field, value) in [
            ("id", serde_json::json!("acme")),
            ("id", serde_json::json!("Acme/chat")),
            ("version", serde_json::json!("1.0")),
            ("hosts", serde_json::json!(["https://api.acme.com"])),
            ("hosts", serde_json::json!(["*"])),
            ("hosts", serde_json::json!(["*.com:99999"])),
        ] {
            let mut json = minimal();
            json[field] = value.clone();
            assert!(Manifest::parse(json.to_string().as_bytes()).is_err(), "{field} = {value}");
        }
    }
}
