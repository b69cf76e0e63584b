//! Whether a callback comes from the provider: by the manifest's scheme, with a secret that no plugin sees.

use std::fmt;

use atelier_domain::generation::media::{Callback, CallbackRefusal, Delivery};
use atelier_domain::manifest::{Manifest, WebhookScheme, WebhookSpec};
use atelier_domain::plugin::{InstanceConfig, SecretValue};
use atelier_domain::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// How far a callback's time may be from ours (W-1).
const TOLERANCE_S: u64 = 300;
/// Signatures looked at in one header: a provider that changes its secret sends two.
const SIGNATURES_MAX: usize = 8;
const DELIVERY_ID_BYTES_MAX: usize = 256;

/// An instance's check on callbacks.
pub struct Callbacks {
    check: Option<Check>,
}

/// Never the key.
impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").field("are_taken", &self.are_taken()).finish()
    }
}

enum Check {
    StandardWebhooks(hmac::Key),
    Body { key: hmac::Key, header: String, prefix: String },
    Timed { key: hmac::Key, header: String, signature_key: String },
    Nothing,
}

impl Callbacks {
    /// The check that a manifest asks for. Without the secret that it needs, no callback is taken.
    ///
    /// # Errors
    /// The secret is malformed; without the secret.
    pub fn new(manifest: &Manifest, config: &InstanceConfig) -> Result<Self, String> {
        let Some(spec) = &manifest.webhook else { return Ok(Self { check: None }) };
        let secret = spec.secret.as_ref().and_then(|name| Some((name, config.secrets.get(name)?)));
        let check = match (spec.scheme, secret) {
            (WebhookScheme::None, _) => Some(Check::Nothing),
            (_, None) => None,
            (_, Some((name, secret))) => {
                let check = Check::new(spec, secret);
                Some(check.map_err(|why| format!("the secret {name} cannot be used: {why}"))?)
            }
        };
        Ok(Self { check })
    }

    /// Whether what comes can be checked, or is known to need no check.
    pub fn are_taken(&self) -> bool {
        self.check.is_some()
    }

    /// Checks a callback that arrived at `now`.
    ///
    /// # Errors
    /// It is not to be believed.
    pub fn verify(&self, callback: &Callback, now: Timestamp) -> Result<Delivery, CallbackRefusal> {
        match self.check.as_ref().ok_or(CallbackRefusal::Unexpected)? {
            Check::StandardWebhooks(key) => standard_webhooks(key, callback, now),
            Check::Body { key, header, prefix } => {
                let value = header_of(callback, header)?;
                let hexadecimal = value.strip_prefix(prefix.as_str()).ok_or(CallbackRefusal::Unsigned)?;
                let signature = hex::decode(hexadecimal).map_err(|_| CallbackRefusal::Unsigned)?;
                believe(key, &[&callback.body], [signature])?;
                Ok(Delivery { id: hexadecimal.to_ascii_lowercase(), is_signed: true })
            }
            Check::Timed { key, header, signature_key } => {
                timed(key, signature_key, header_of(callback, header)?, callback, now)
            }
            Check::Nothing => Ok(Delivery { id: String::new(), is_signed: false }),
        }
    }
}

impl Check {
    fn new(spec: &WebhookSpec, secret: &SecretValue) -> Result<Self, String> {
        let key = |bytes: &[u8]| match bytes {
            [] => Err("it is empty".to_owned()),
            bytes => Ok(hmac::Key::new(hmac::HMAC_SHA256, bytes)),
        };
        let text = secret.reveal();
        let header = |usual: &str| spec.header.clone().unwrap_or_else(|| usual.to_owned());
        match spec.scheme {
            WebhookScheme::StandardWebhooks => {
                let encoded = text.strip_prefix("whsec_").unwrap_or(text);
                let decoded = STANDARD.decode(encoded);
                Ok(Self::StandardWebhooks(key(
                    &decoded.map_err(|_| "it must be base64, as a rule behind whsec_".to_owned())?
                )?))
            }
            WebhookScheme::HmacSha256 => Ok(Self::Body {
                key: key(text.as_bytes())?,
                header: header(""),
                prefix: spec.prefix.clone().unwrap_or_default(),
            }),
            WebhookScheme::Stripe => Ok(Self::Timed {
                key: key(text.as_bytes())?,
                header: header("stripe-signature"),
                signature_key: spec.signature_key.clone().unwrap_or_else(|| "v1".to_owned()),
            }),
            WebhookScheme::None => Ok(Self::Nothing),
        }
    }
}

/// `webhook-signature: v1,BASE64 …` over `ID.SECONDS.BODY`
/// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
fn standard_webhooks(
    key: &hmac::Key,
    callback: &Callback,
    now: Timestamp,
) -> Result<Delivery, CallbackRefusal> {
    let (id, time) = (header_of(callback, "webhook-id")?, header_of(callback, "webhook-timestamp")?);
    if id.is_empty() || id.len() > DELIVERY_ID_BYTES_MAX {
        return Err(CallbackRefusal::Unsigned);
    }
    let signatures = header_of(callback, "webhook-signature")?.split(' ').take(SIGNATURES_MAX);
    let signatures = signatures.filter_map(|each| STANDARD.decode(each.strip_prefix("v1,")?).ok());
    let head = format!("{id}.{time}.");
    believe(key, &[head.as_bytes(), &callback.body], signatures)?;
    is_timely(time, now)?;
    Ok(Delivery { id: id.to_owned(), is_signed: true })
}

/// `t=SECONDS,v1=HEX,…` over `SECONDS.BODY` (<https://docs.stripe.com/webhooks#verify-manually>).
fn timed(
    key: &hmac::Key,
    signature_key: &str,
    value: &str,
    callback: &Callback,
    now: Timestamp,
) -> Result<Delivery, CallbackRefusal> {
    let pairs = || value.split(',').take(SIGNATURES_MAX).filter_map(|pair| pair.trim().split_once('='));
    let time =
        pairs().find(|(name, _)| *name == "t").map(|(_, time)| time).ok_or(CallbackRefusal::Unsigned)?;
    let signatures = pairs().filter(|(name, _)| *name == signature_key);
    let signatures = signatures.filter_map(|(_, text)| hex::decode(text).ok());
    let head = format!("{time}.");
    let signature = believe(key, &[head.as_bytes(), &callback.body], signatures)?;
    is_timely(time, now)?;
    Ok(Delivery { id: hex::encode(signature), is_signed: true })
}

fn header_of<'c>(callback: &'c Callback, name: &str) -> Result<&'c str, CallbackRefusal> {
    let mut found = callback.headers.iter().filter(|(known, _)| known == name);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value),
        // Two of them are two opinions.
        (Some(_), Some(_)) | (None, _) => Err(CallbackRefusal::Unsigned),
    }
}

/// The signature that fits, compared in constant time.
fn believe(
    key: &hmac::Key,
    parts: &[&[u8]],
    signatures: impl IntoIterator<Item = Vec<u8>>,
) -> Result<Vec<u8>, CallbackRefusal> {
    let text = parts.concat();
    let mut signatures = signatures.into_iter().peekable();
    if signatures.peek().is_none() {
        return Err(CallbackRefusal::Unsigned);
    }
    signatures.find(|signature| hmac::verify(key, &text, signature).is_ok()).ok_or(CallbackRefusal::Forged)
}

fn is_timely(seconds: &str, now: Timestamp) -> Result<(), CallbackRefusal> {
    let told: u64 = seconds.parse().map_err(|_| CallbackRefusal::Unsigned)?;
    if told.abs_diff(now.unix_seconds()) > TOLERANCE_S { Err(CallbackRefusal::Stale) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    /// Standard Webhooks' own example of a secret, as its reference libraries' tests use it.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NOW: u64 = 1_614_265_330;

    fn callbacks(webhook: serde_json::Value, secret: Option<&str>) -> Result<Callbacks, String> {
        let manifest = json!({
            "id": "acme/chat", "version": "1.0.0", "wit": "0.1", "name": "Acme", "webhook": webhook,
            "secrets": [{"name": "signing", "place": "webhook"}],
        });
        let manifest = Manifest::parse(manifest.to_string().as_bytes()).expect("a manifest");
        let config = InstanceConfig {
            name: "acme".parse().expect("a name"),
            plugin: "acme/chat".to_owned(),
            base_url: String::new(),
            hosts: Vec::new(),
            private_hosts: Vec::new(),
            settings: serde_json::Map::new(),
            secrets: secret
                .map(|secret| ("signing".to_owned(), SecretValue::new(secret)))
                .into_iter()
                .collect(),
        };
        Callbacks::new(&manifest, &config)
    }

    fn callback(headers: &[(&str, &str)], body: &str) -> Callback {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Callback { headers, query: String::new(), body: Bytes::from(body.to_owned()) }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1000 + 999)
    }

    #[test]
    fn standard_webhooks_are_checked_as_their_reference_does() {
        let checks = callbacks(json!({"scheme": "standard-webhooks", "secret": "signing"}), Some(SECRET));
        let checks = checks.expect("a good secret");
        let (id, time, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", NOW.to_string(), "{\"test\": 2432232314}");
        let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let verify = |id: &str, time: &str, signature: &str, body: &str, now: u64| {
            let headers = [("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signature)];
            checks.verify(&callback(&headers, body), at(now))
        };
        let delivery = verify(id, &time, good, body, NOW).expect("genuine");
        assert_eq!(delivery, Delivery { id: id.to_owned(), is_signed: true });
        for now in [NOW - 300, NOW + 300] {
            assert!(verify(id, &time, good, body, now).is_ok(), "within five minutes");
        }
        for now in [NOW - 301, NOW + 301] {
            assert_eq!(verify(id, &time, good, body, now), Err(CallbackRefusal::Stale));
        }
        let two = format!("v1,{} v2,other {good}", STANDARD.encode([7; 32]));
        assert!(verify(id, &time, &two, body, NOW).is_ok(), "one of several is enough");
        for (id, time, signature, body) in [
            ("msg_other", time.as_str(), good, body),
            (id, "1614265331", good, body),
            (id, &time, "v1,AAAA", body),
            (id, &time, good, "{\"test\": 2432232315}"),
            (id, &time, good, ""),
        ] {
            assert_eq!(verify(id, time, signature, body, NOW), Err(CallbackRefusal::Forged));
        }
        for (id, time, signature) in
            [("", time.as_str(), good), (id, &time, ""), (id, &time, "v2,AAAA"), (id, &time, "v1,*")]
        {
            assert_eq!(verify(id, time, signature, body, NOW), Err(CallbackRefusal::Unsigned));
        }
        let bare = checks.verify(&callback(&[], body), at(NOW));
        assert_eq!(bare, Err(CallbackRefusal::Unsigned));
        let twice = [
            ("webhook-id", id),
            ("webhook-id", id),
            ("webhook-timestamp", &time),
            ("webhook-signature", good),
        ];
        assert_eq!(checks.verify(&callback(&twice, body), at(NOW)), Err(CallbackRefusal::Unsigned));
        assert!(!format!("{checks:?}").contains("MfKQ"));
    }

    fn hmac_hex(secret: &str, text: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        hex::encode(hmac::sign(&key, text.as_bytes()))
    }

    #[test]
    fn a_signature_of_the_body_alone_is_checked_in_its_header() {
        // RFC 4231, test case 2.
        let (key, body) = ("Jefe", "what do ya want for nothing?");
        let mac = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let spec = json!({"scheme": "hmac-sha256", "secret": "signing", "header": "x-signature", "prefix": "sha256="});
        let checks = callbacks(spec, Some(key)).expect("a secret");
        let verify = |value: &str| checks.verify(&callback(&[("x-signature", value)], body), at(NOW));
        assert_eq!(verify(&format!("sha256={mac}")).expect("genuine").id, mac);
        assert_eq!(verify(mac), Err(CallbackRefusal::Unsigned), "the prefix is part of it");
        assert_eq!(verify(&format!("sha256={}", "0".repeat(64))), Err(CallbackRefusal::Forged));
        assert_eq!(verify(&format!("sha256={}", &mac[..62])), Err(CallbackRefusal::Forged));
    }

    #[test]
    fn a_timed_signature_is_checked_with_its_time() {
        let spec = json!({"scheme": "stripe", "secret": "signing", "header": "elevenlabs-signature", "signature-key": "v0"});
        let checks = callbacks(spec, Some("wsec_1")).expect("a secret");
        let verify =
            |value: &str| checks.verify(&callback(&[("elevenlabs-signature", value)], "{}"), at(NOW));
        let mac = hmac_hex("wsec_1", &format!("{NOW}.{{}}"));
        assert_eq!(verify(&format!("t={NOW},v0={mac}")).expect("genuine").id, mac);
        assert_eq!(verify(&format!("t={NOW},v1={mac}")), Err(CallbackRefusal::Unsigned), "another key");
        assert_eq!(verify(&format!("v0={mac}")), Err(CallbackRefusal::Unsigned), "no time");
        assert_eq!(verify(&format!("t={},v0={mac}", NOW + 1)), Err(CallbackRefusal::Forged));
        let old = hmac_hex("wsec_1", &format!("{}.{{}}", NOW - 301));
        assert_eq!(verify(&format!("t={},v0={old}", NOW - 301)), Err(CallbackRefusal::Stale));
        let late = format!("x{}", NOW);
        assert_eq!(
            verify(&format!("t={late},v0={}", hmac_hex("wsec_1", &format!("{late}.{{}}")))),
            Err(CallbackRefusal::Unsigned)
        );
    }

    #[test]
    fn without_a_secret_nothing_is_taken_and_without_a_scheme_nothing_is_believed() {
        let spec = json!({"scheme": "standard-webhooks", "secret": "signing"});
        let checks = callbacks(spec.clone(), None).expect("no callbacks, but no problem");
        assert!(!checks.are_taken());
        assert_eq!(checks.verify(&callback(&[], "{}"), at(NOW)), Err(CallbackRefusal::Unexpected));
        let why = callbacks(spec, Some("whsec_not base64!")).expect_err("malformed");
        assert!(why.contains("signing") && !why.contains("not base64!"), "{why}");
        let checks = callbacks(json!({"scheme": "none"}), None).expect("no secret needed");
        assert!(checks.are_taken());
        assert!(!checks.verify(&callback(&[], "{}"), at(NOW)).expect("taken").is_signed);
    }
}
