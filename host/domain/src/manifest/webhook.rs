//! How a provider's callbacks are told from forgeries.

use serde::{Deserialize, Serialize};

use super::{SecretPlace, SecretSpec};

/// How the provider signs its callbacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WebhookSpec {
    pub scheme: WebhookScheme,
    /// Name of the secret that verifies; its place is `webhook`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The header with the signature: needed by `hmac-sha256`, `stripe-signature` unless said otherwise for `stripe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// For `hmac-sha256`: what stands before the signature, e.g. `sha256=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// For `stripe`: the key of the signatures that count, `v1` unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_key: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookScheme {
    /// <https://www.standardwebhooks.com>: OpenAI, Replicate.
    StandardWebhooks,
    /// Hexadecimal HMAC-SHA256 of the body in a header. It says nothing of when it was made.
    HmacSha256,
    /// Stripe's `t=SECONDS,v1=HEX`, over `SECONDS.BODY`; ElevenLabs has it in `elevenlabs-signature` with the key `v0`.
    Stripe,
    /// The provider signs nothing: a callback only advances the next poll.
    None,
}

impl WebhookSpec {
    /// What is wrong with it, if something is. `secrets` are the manifest's.
    pub(super) fn check(&self, secrets: &[SecretSpec]) -> Result<(), String> {
        let is_verifier = |name: &String| {
            secrets.iter().any(|secret| secret.name == *name && secret.place == SecretPlace::Webhook)
        };
        match (self.scheme, &self.secret) {
            (WebhookScheme::None, None) => {}
            (WebhookScheme::None, Some(_)) => return Err("the scheme none has no secret".to_owned()),
            (_, Some(name)) if is_verifier(name) => {}
            (_, Some(name)) => return Err(format!("there is no secret {name:?} with place = \"webhook\"")),
            (_, None) => return Err("a scheme needs secret = \"…\"".to_owned()),
        }
        if self.scheme == WebhookScheme::HmacSha256 && self.header.is_none() {
            return Err("the scheme hmac-sha256 needs header = \"…\"".to_owned());
        }
        let is_name = |name: &String| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if self.header.as_ref().is_some_and(|header| !is_name(header)) {
            return Err("header must be a header's name in lower case".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Manifest;

    #[test]
    fn a_scheme_that_could_verify_nothing_is_refused() {
        let checked = |webhook: serde_json::Value| {
            let manifest = json!({
                "id": "acme/chat", "version": "1.0.0", "wit": "0.1", "name": "Acme", "webhook": webhook,
                "secrets": [{"name": "key", "place": "bearer"}, {"name": "signing", "place": "webhook"}],
            });
            Manifest::parse(manifest.to_string().as_bytes())
        };
        for good in [
            json!({"scheme": "standard-webhooks", "secret": "signing"}),
            json!({"scheme": "hmac-sha256", "secret": "signing", "header": "x-signature", "prefix": "sha256="}),
            json!({"scheme": "stripe", "secret": "signing", "header": "elevenlabs-signature", "signature-key": "v0"}),
            json!({"scheme": "none"}),
        ] {
            checked(good.clone()).unwrap_or_else(|why| panic!("{good}: {why}"));
        }
        for bad in [
            json!({"scheme": "standard-webhooks"}),
            json!({"scheme": "standard-webhooks", "secret": "key"}),
            json!({"scheme": "standard-webhooks", "secret": "other"}),
            json!({"scheme": "hmac-sha256", "secret": "signing"}),
            json!({"scheme": "hmac-sha256", "secret": "signing", "header": "X Signature"}),
            json!({"scheme": "none", "secret": "signing"}),
            json!({"scheme": "md5", "secret": "signing"}),
        ] {
            assert!(checked(bad.clone()).is_err(), "{bad}");
        }
    }
}
