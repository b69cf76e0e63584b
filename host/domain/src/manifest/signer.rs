//! Secrets that are not sent but sign: what the host needs to know beside the secret itself.

use serde::{Deserialize, Serialize};

use super::{SecretPlace, SecretSpec, is_host_pattern, is_slug};

/// For `place = "sigv4"`: AWS Signature Version 4. The secret is `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, with `:SESSION_TOKEN` behind it
/// for temporary credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SigV4Spec {
    /// The service's name in the credential scope, e.g. `bedrock`.
    pub service: String,
    /// The region where the instance names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The instance's setting that names the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_setting: Option<String>,
    /// Whether a body that lies in a file may go unhashed over TLS (`UNSIGNED-PAYLOAD`), which S3 alone takes.
    #[serde(default)]
    pub unsigned_payload: bool,
}

/// For `place = "jwt"`: short-lived tokens (RFC 7519) that the host signs itself, sent as `authorization: Bearer …`. The secret is the
/// key: any text for HS256, a private key in PEM for the others. Where a claim or header says `{key-id}`, it is `KEY_ID:KEY`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct JwtSpec {
    pub algorithm: JwtAlgorithm,
    /// From `iat` to `exp`, in seconds: 30 to 86,400.
    pub lifetime_seconds: u32,
    /// Adds `nbf`, this many seconds before `iat`, for upstreams whose clocks are slow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before_seconds: Option<u32>,
    /// Beside `iat`, `exp` and `nbf`. A text may be `{key-id}` or `{setting:NAME}`.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// Beside `alg` and `typ`, e.g. `kid`. A text may be `{key-id}` or `{setting:NAME}`.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub header: serde_json::Map<String, serde_json::Value>,
}

/// JSON Web Algorithms (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JwtAlgorithm {
    HS256,
    RS256,
    ES256,
}

/// For `place = "oauth2-client"`: client credentials (RFC 6749 §4.4). The secret is `CLIENT_ID:CLIENT_SECRET`. The token's host must
/// be among the manifest's `hosts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OAuth2Spec {
    pub token_url: String,
    /// The instance's setting that names another token URL, e.g. of one's own tenant. It needs the operator's grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url_setting: Option<String>,
    /// Separated by spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// A form field that some providers ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
}

/// How a client proves itself to the token endpoint (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuthentication {
    /// `authorization: Basic …`
    #[default]
    Basic,
    /// `client_id` and `client_secret` in the form.
    Body,
}

/// For `place = "google-service-account"`: an assertion signed with a service account's key buys a token (RFC 7523 §2.1). The secret is
/// the key file's JSON; the host of its `token_uri` must be among the manifest's `hosts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GoogleSpec {
    /// Separated by spaces.
    pub scope: String,
}

impl SecretSpec {
    /// Whether it is not sent but signs.
    pub fn signs(&self) -> bool {
        match self.place {
            SecretPlace::Sigv4
            | SecretPlace::Jwt
            | SecretPlace::Oauth2Client
            | SecretPlace::GoogleServiceAccount => true,
            SecretPlace::Bearer
            | SecretPlace::Header
            | SecretPlace::Query
            | SecretPlace::Basic
            | SecretPlace::Path
            | SecretPlace::Webhook => false,
        }
    }

    /// What is wrong with the signer's part, if something is. `hosts` are the manifest's.
    pub(super) fn check_signer(&self, hosts: &[String]) -> Result<(), String> {
        let tables = [
            (SecretPlace::Sigv4, "sigv4", self.sigv4.is_some()),
            (SecretPlace::Jwt, "jwt", self.jwt.is_some()),
            (SecretPlace::Oauth2Client, "oauth2-client", self.oauth2_client.is_some()),
            (
                SecretPlace::GoogleServiceAccount,
                "google-service-account",
                self.google_service_account.is_some(),
            ),
        ];
        for (place, name, is_there) in tables {
            match (self.place == place, is_there) {
                (true, false) => return Err(format!("place = \"{name}\" needs a table `{name}`")),
                (false, true) => return Err(format!("the table `{name}` needs place = \"{name}\"")),
                (true, true) | (false, false) => {}
            }
        }
        if let Some(sigv4) = &self.sigv4 {
            sigv4.check()?;
        }
        if let Some(jwt) = &self.jwt {
            jwt.check()?;
        }
        if let Some(oauth2) = &self.oauth2_client {
            oauth2.check(hosts)?;
        }
        match &self.google_service_account {
            Some(google) if google.scope.is_empty() => Err("`scope` must not be empty".to_owned()),
            _ => Ok(()),
        }
    }
}

impl SigV4Spec {
    fn check(&self) -> Result<(), String> {
        if !is_slug(&self.service) || self.region.as_ref().is_some_and(|region| !is_slug(region)) {
            return Err("`service` and `region` have lower-case letters, digits and hyphens".to_owned());
        }
        if self.region.is_none() && self.region_setting.is_none() {
            return Err("it needs `region` or `region-setting`".to_owned());
        }
        if self.unsigned_payload && self.service != "s3" {
            return Err("`unsigned-payload` is for the service s3 alone".to_owned());
        }
        Ok(())
    }
}

impl JwtSpec {
    fn check(&self) -> Result<(), String> {
        if !(30..=86_400).contains(&self.lifetime_seconds) {
            return Err("`lifetime-seconds` must be from 30 to 86400".to_owned());
        }
        if self.not_before_seconds.is_some_and(|seconds| seconds > 600) {
            return Err("`not-before-seconds` must be 600 at most".to_owned());
        }
        if let Some(own) = ["iat", "exp", "nbf"].iter().find(|name| self.claims.contains_key(**name)) {
            return Err(format!("the claim `{own}` is the host's to write"));
        }
        if let Some(own) = ["alg", "typ"].iter().find(|name| self.header.contains_key(**name)) {
            return Err(format!("the header `{own}` is the host's to write"));
        }
        Ok(())
    }

    /// Whether the secret holds a key id before its key.
    pub fn has_key_id(&self) -> bool {
        self.claims.values().chain(self.header.values()).any(|value| value == "{key-id}")
    }
}

impl OAuth2Spec {
    fn check(&self, hosts: &[String]) -> Result<(), String> {
        let rest = self.token_url.strip_prefix("https://").ok_or("`token-url` must begin with https://")?;
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if !is_host_pattern(host) || host.starts_with("*.") {
            return Err("`token-url` has no host that could be granted".to_owned());
        }
        let is_granted = hosts.iter().any(|granted| match granted.strip_prefix("*.") {
            Some(above) => host.strip_suffix(above).is_some_and(|below| below.ends_with('.')),
            None => granted == host,
        });
        if is_granted {
            Ok(())
        } else {
            Err(format!("the host of `token-url`, {host}, must be among `hosts`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Manifest;

    fn checked(secret: serde_json::Value) -> Result<Manifest, String> {
        let manifest = json!({
            "id": "acme/chat", "version": "1.0.0", "wit": "0.1", "name": "Acme",
            "hosts": ["login.acme.com", "*.auth.acme.com"], "secrets": [secret],
        });
        Manifest::parse(manifest.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_signer_is_taken_with_its_table() {
        for secret in [
            json!({"name": "aws", "place": "sigv4", "sigv4": {"service": "bedrock", "region-setting": "region"}}),
            json!({"name": "key", "place": "jwt", "jwt": {
                "algorithm": "HS256", "lifetime-seconds": 1800, "not-before-seconds": 5, "claims": {"iss": "{key-id}"}}}),
            json!({"name": "client", "place": "oauth2-client",
                "oauth2-client": {"token-url": "https://login.acme.com/token", "scope": "media"}}),
            json!({"name": "client", "place": "oauth2-client",
                "oauth2-client": {"token-url": "https://eu.auth.acme.com/token", "client-authentication": "body"}}),
            json!({"name": "account", "place": "google-service-account",
                "google-service-account": {"scope": "https://www.googleapis.com/auth/cloud-platform"}}),
        ] {
            checked(secret.clone()).unwrap_or_else(|why| panic!("{secret}: {why}"));
        }
    }

    #[test]
    fn a_signer_that_cannot_work_is_refused_with_the_reason() {
        for (secret, says) in [
            (json!({"name": "aws", "place": "sigv4"}), "needs a table `sigv4`"),
            (
                json!({"name": "aws", "place": "bearer", "sigv4": {"service": "s3", "region": "x"}}),
                "needs place",
            ),
            (json!({"name": "aws", "place": "sigv4", "sigv4": {"service": "s3"}}), "region"),
            (
                json!({"name": "aws", "place": "sigv4",
                    "sigv4": {"service": "bedrock", "region": "x", "unsigned-payload": true}}),
                "s3 alone",
            ),
            (
                json!({"name": "k", "place": "jwt", "jwt": {"algorithm": "none", "lifetime-seconds": 60}}),
                "none",
            ),
            (
                json!({"name": "k", "place": "jwt", "jwt": {"algorithm": "HS256", "lifetime-seconds": 5}}),
                "30",
            ),
            (
                json!({"name": "k", "place": "jwt",
                    "jwt": {"algorithm": "HS256", "lifetime-seconds": 60, "claims": {"exp": 1}}}),
                "`exp`",
            ),
            (
                json!({"name": "c", "place": "oauth2-client", "oauth2-client": {"token-url": "http://login.acme.com/"}}),
                "https://",
            ),
            (
                json!({"name": "c", "place": "oauth2-client", "oauth2-client": {"token-url": "https://evil.net/token"}}),
                "must be among `hosts`",
            ),
            (
                json!({"name": "c", "place": "oauth2-client", "oauth2-client": {"token-url": "https://xauth.acme.com/"}}),
                "must be among `hosts`",
            ),
            (
                json!({"name": "g", "place": "google-service-account", "google-service-account": {"scope": ""}}),
                "scope",
            ),
        ] {
            let why = checked(secret.clone()).expect_err("it cannot work");
            assert!(why.contains(says), "{secret}: {why}");
        }
    }
}
