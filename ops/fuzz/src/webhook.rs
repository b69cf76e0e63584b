//! Callbacks of providers, and whether they are believed.

use atelier_domain::generation::media::{Callback, CallbackRefusal};
use atelier_domain::manifest::Manifest;
use atelier_domain::plugin::{InstanceConfig, SecretValue};
use atelier_domain::time::Timestamp;
use atelier_runtime::fuzzing::Callbacks;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ring::hmac;
use serde_json::json;

const NOW: u64 = 1_614_265_330;
const TOLERANCE_S: u64 = 300;
const ID: &str = "msg_1";
/// Two secrets: one that the provider has, and one of somebody else.
const OURS: [u8; 32] = [7; 32];
const THEIRS: [u8; 32] = [8; 32];

type Headers = Vec<(String, String)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    StandardWebhooks,
    HmacSha256,
    Stripe,
}

impl Scheme {
    const ALL: [Self; 3] = [Self::StandardWebhooks, Self::HmacSha256, Self::Stripe];

    /// The text of a secret, and the key that it is.
    fn secret(self, bytes: [u8; 32]) -> (String, Vec<u8>) {
        match self {
            Self::StandardWebhooks => (format!("whsec_{}", STANDARD.encode(bytes)), bytes.to_vec()),
            Self::HmacSha256 | Self::Stripe => (hex::encode(bytes), hex::encode(bytes).into_bytes()),
        }
    }

    fn checks(self, secret: [u8; 32]) -> Callbacks {
        let webhook = match self {
            Self::StandardWebhooks => json!({"scheme": "standard-webhooks", "secret": "signing"}),
            Self::HmacSha256 => {
                json!({"scheme": "hmac-sha256", "secret": "signing", "header": "x-signature", "prefix": "sha256="})
            }
            Self::Stripe => json!({"scheme": "stripe", "secret": "signing"}),
        };
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
            secrets: [("signing".to_owned(), SecretValue::new(self.secret(secret).0))].into(),
        };
        Callbacks::new(&manifest, &config).expect("a good secret")
    }

    /// The headers with which a provider signs a body at a time.
    fn signed(self, secret: [u8; 32], seconds: u64, body: &[u8]) -> Headers {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret(secret).1);
        let sign = |head: String| hmac::sign(&key, &[head.as_bytes(), body].concat());
        let header = |name: &str, value: String| (name.to_owned(), value);
        match self {
            Self::StandardWebhooks => {
                let signature = STANDARD.encode(sign(format!("{ID}.{seconds}.")));
                vec![
                    header("webhook-id", ID.to_owned()),
                    header("webhook-timestamp", seconds.to_string()),
                    header("webhook-signature", format!("v1,{signature}")),
                ]
            }
            Self::HmacSha256 => {
                vec![header("x-signature", format!("sha256={}", hex::encode(sign(String::new()))))]
            }
            Self::Stripe => {
                let signature = hex::encode(sign(format!("{seconds}.")));
                vec![header("stripe-signature", format!("t={seconds},v1={signature}"))]
            }
        }
    }
}

/// Whatever headers and body come: what the secret's owner signed is believed, and nothing else is.
pub fn webhook_signature(bytes: &[u8]) {
    let Some((headers, body)) = received(bytes) else { return };
    for scheme in Scheme::ALL {
        let (ours, theirs) = (scheme.checks(OURS), scheme.checks(THEIRS));
        let verify = |checks: &Callbacks, headers: &Headers, body: &[u8], now: u64| {
            let (headers, body) = (headers.clone(), Bytes::copy_from_slice(body));
            checks.verify(&Callback { headers, query: String::new(), body }, Timestamp(now * 1000))
        };
        let believed_alone = |headers: &Headers| {
            let delivery =
                verify(&ours, headers, body, NOW).unwrap_or_else(|why| panic!("{scheme:?}: {why}"));
            assert!(delivery.is_signed && !delivery.id.is_empty());
            assert_eq!(verify(&theirs, headers, body, NOW), Err(CallbackRefusal::Forged), "another secret");
            for altered in altered(body) {
                let refused = verify(&ours, headers, &altered, NOW);
                assert_eq!(refused, Err(CallbackRefusal::Forged), "another body");
            }
        };
        if verify(&ours, &headers, body, NOW).is_ok() {
            believed_alone(&headers);
        }
        let genuine = scheme.signed(OURS, NOW, body);
        believed_alone(&genuine);
        let forged = scheme.signed(THEIRS, NOW, body);
        assert_eq!(verify(&ours, &forged, body, NOW), Err(CallbackRefusal::Forged));
        if scheme != Scheme::HmacSha256 {
            for now in [NOW - TOLERANCE_S - 1, NOW + TOLERANCE_S + 1] {
                assert_eq!(verify(&ours, &genuine, body, now), Err(CallbackRefusal::Stale));
            }
        }
        // What else comes with it changes nothing; one of its headers twice is two opinions.
        let is_twice = headers.iter().any(|(name, _)| genuine.iter().any(|(own, _)| own == name));
        let both = [headers.clone(), genuine].concat();
        let expected = if is_twice { Err(CallbackRefusal::Unsigned) } else { Ok(()) };
        assert_eq!(verify(&ours, &both, body, NOW).map(drop), expected);
    }
}

/// Headers, an empty line, and a body: as they come over the wire.
fn received(bytes: &[u8]) -> Option<(Headers, &[u8])> {
    let end = bytes.windows(2).position(|two| two == b"\n\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let headers = lines.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Some((headers, &bytes[end + 2..]))
}

/// Bodies that differ from this one.
fn altered(body: &[u8]) -> Vec<Vec<u8>> {
    let mut others = vec![[body, b" "].concat()];
    for at in [0, body.len() / 2, body.len().saturating_sub(1)] {
        let mut other = body.to_vec();
        if let Some(byte) = other.get_mut(at) {
            *byte ^= 1;
            others.push(other);
        }
    }
    others.extend(body.split_last().map(|(_, rest)| rest.to_vec()));
    others
}
