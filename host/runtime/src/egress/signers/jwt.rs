//! Tokens that the host issues itself from a key that it shares with the provider.

use atelier_domain::manifest::JwtSpec;
use atelier_domain::time::Timestamp;
use serde_json::{Map, Value};

use super::Settings;
use super::jws::Key;

/// Issues short-lived tokens (RFC 7519).
#[derive(Debug)]
pub struct Issuer {
    key: Key,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    lifetime_s: u64,
    not_before_s: Option<u64>,
}

impl Issuer {
    /// # Errors
    /// The key is none, or a claim cannot be filled in; without the key.
    pub fn new(spec: &JwtSpec, secret: &str, settings: &Settings) -> Result<Self, String> {
        let (key_id, key) = match spec.has_key_id() {
            true => secret.split_once(':').ok_or("it must read KEY_ID:KEY")?,
            false => ("", secret),
        };
        let filled = |map: &Map<String, Value>| -> Result<Map<String, Value>, String> {
            let fill = |(name, value): (&String, &Value)| Ok((name.clone(), fill(value, key_id, settings)?));
            map.iter().map(fill).collect()
        };
        Ok(Self {
            key: Key::read(spec.algorithm, key)?,
            header: filled(&spec.header)?,
            claims: filled(&spec.claims)?,
            lifetime_s: u64::from(spec.lifetime_seconds),
            not_before_s: spec.not_before_seconds.map(u64::from),
        })
    }

    /// The part of a secret that must never come back.
    pub fn key_of<'s>(spec: &JwtSpec, secret: &'s str) -> &'s str {
        match spec.has_key_id() {
            true => secret.split_once(':').map_or(secret, |(_, key)| key),
            false => secret,
        }
    }

    /// A token, and the seconds that it lives.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn issue(&self, now: Timestamp) -> Result<(String, u64), String> {
        let now = now.unix_seconds();
        let mut claims = self.claims.clone();
        claims.insert("iat".to_owned(), now.into());
        claims.insert("exp".to_owned(), (now + self.lifetime_s).into());
        if let Some(earlier) = self.not_before_s {
            claims.insert("nbf".to_owned(), now.saturating_sub(earlier).into());
        }
        Ok((self.key.token(&self.header, &claims)?, self.lifetime_s))
    }
}

/// `{key-id}` and `{setting:NAME}` stand for what they name.
fn fill(value: &Value, key_id: &str, settings: &Settings) -> Result<Value, String> {
    let Some(text) = value.as_str() else { return Ok(value.clone()) };
    if text == "{key-id}" {
        return Ok(key_id.into());
    }
    match text.strip_prefix("{setting:").and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => {
            settings.get(name).cloned().ok_or_else(|| format!("it needs the instance's setting {name:?}"))
        }
        None => Ok(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use atelier_domain::manifest::JwtAlgorithm;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    fn spec(claims: Value, header: Value) -> JwtSpec {
        let map = |value: Value| value.as_object().expect("an object").clone();
        JwtSpec {
            algorithm: JwtAlgorithm::HS256,
            lifetime_seconds: 1800,
            not_before_seconds: Some(5),
            claims: map(claims),
            header: map(header),
        }
    }

    #[test]
    fn a_token_says_who_issued_it_and_for_how_long() {
        let settings = Settings::from_iter([("team".to_owned(), Value::from("T1"))]);
        let spec =
            spec(json!({"iss": "{key-id}", "team": "{setting:team}", "v": 1}), json!({"kid": "{key-id}"}));
        let issuer = Issuer::new(&spec, "access:secret:with:colons", &settings).expect("good");
        let (token, lifetime) = issuer.issue(Timestamp(1_000_000_000_500)).expect("issued");
        let parts: Vec<Value> = token
            .split('.')
            .take(2)
            .map(|part| {
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
            })
            .collect();
        assert_eq!(parts[0], json!({"alg": "HS256", "typ": "JWT", "kid": "access"}));
        assert_eq!(
            parts[1],
            json!({"iss": "access", "team": "T1", "v": 1, "iat": 1_000_000_000, "exp": 1_000_001_800, "nbf": 999_999_995})
        );
        assert_eq!(lifetime, 1800);
        assert_eq!(Issuer::key_of(&spec, "access:secret:with:colons"), "secret:with:colons");
        assert!(!format!("{issuer:?}").contains("secret:with"), "{issuer:?}");
    }

    #[test]
    fn what_cannot_be_filled_in_is_named() {
        let plain = Settings::new();
        let spec_of = |claims| spec(claims, json!({}));
        let why = Issuer::new(&spec_of(json!({"iss": "{key-id}"})), "onlyakey", &plain).expect_err("no id");
        assert_eq!(why, "it must read KEY_ID:KEY");
        let why =
            Issuer::new(&spec_of(json!({"t": "{setting:team}"})), "key", &plain).expect_err("no setting");
        assert!(why.contains("\"team\""), "{why}");
    }
}
