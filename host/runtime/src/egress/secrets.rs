//! Puts an instance's secrets into its requests, after the policy has let them pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use atelier_domain::manifest::{SecretPlace, SecretSpec};
use atelier_domain::plugin::SecretValue;
use atelier_domain::time::{Clock, SystemClock, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::grants::{Grants, HostPattern};
use super::scrub::Patterns;
use super::signers::{Settings, Signer};

/// An instance's secrets, ready to be put in.
#[derive(Debug)]
pub struct Secrets {
    entries: Vec<Entry>,
    /// Whether one of them signs.
    signs: bool,
    patterns: Arc<Patterns>,
    clock: Arc<dyn Clock>,
}

impl Default for Secrets {
    fn default() -> Self {
        let clock = Arc::new(SystemClock::default());
        Self { entries: Vec::new(), signs: false, patterns: Arc::default(), clock }
    }
}

#[derive(Debug)]
struct Entry {
    name: String,
    required: bool,
    place: Place,
    /// Hosts that may get it.
    hosts: Grants,
    value: Option<SecretValue>,
}

#[derive(Debug)]
enum Place {
    /// The header and, when the secret is set, its finished value.
    Header(HeaderName, Option<HeaderValue>),
    Query(String),
    Path,
    /// Absent while the secret is not set.
    Signer(Option<Signer>),
    Nowhere,
}

impl Secrets {
    /// Prepares the manifest's secrets for an instance whose base URL is at `base_host` (`host` or `host:port`).
    ///
    /// # Errors
    /// A secret or its place cannot be written into a request; the text names it, without the value.
    pub fn new(
        specs: &[SecretSpec],
        values: &BTreeMap<String, SecretValue>,
        base_host: Option<HostPattern>,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let mut spellings = Vec::new();
        for (spec, value) in specs.iter().filter_map(|spec| Some((spec, values.get(&spec.name)?))) {
            for part in Signer::secret_parts(spec, value.reveal()) {
                spellings.extend(spellings_of(part));
            }
        }
        let signs = specs.iter().any(SecretSpec::signs);
        let spellings = spellings.iter().map(Vec::as_slice);
        let patterns = Arc::new(match signs {
            true => Patterns::learning(spellings),
            false => Patterns::new(spellings),
        });
        let mut entries = Vec::with_capacity(specs.len());
        for spec in specs {
            let value = values.get(&spec.name);
            let mut entry = Entry::new(spec, value, base_host.clone())?;
            if let (Place::Signer(signer), Some(value)) = (&mut entry.place, value) {
                *signer = Signer::new(spec, value.reveal(), settings, &clock, &patterns)
                    .map_err(|why| format!("the secret {} cannot be used: {why}", spec.name))?;
            }
            entries.push(entry);
        }
        Ok(Self { entries, signs, patterns, clock })
    }

    /// The header names that are the host's to fill in.
    pub fn owns_header(&self, name: &HeaderName) -> bool {
        self.entries.iter().any(|entry| match &entry.place {
            Place::Header(own, _) => own == name,
            Place::Signer(Some(signer)) => signer.owns_header(name),
            Place::Signer(None) => *name == AUTHORIZATION,
            Place::Query(_) | Place::Path | Place::Nowhere => false,
        })
    }

    /// Whether a request may need more than [`Self::inject`].
    pub fn signs(&self) -> bool {
        self.signs
    }

    /// What signs requests to a URL, with the secret's name.
    pub(super) fn signer_for(&self, url: &Url) -> Option<(&str, &Signer)> {
        self.entries.iter().find_map(|entry| match &entry.place {
            Place::Signer(Some(signer)) if entry.hosts.check(url).is_ok() => {
                Some((entry.name.as_str(), signer))
            }
            _ => None,
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What must never come back.
    pub fn patterns(&self) -> Arc<Patterns> {
        Arc::clone(&self.patterns)
    }

    /// The first required secret that is not set.
    pub fn missing(&self) -> Option<&str> {
        self.entries
            .iter()
            .find(|entry| entry.required && entry.value.is_none() && !matches!(entry.place, Place::Nowhere))
            .map(|entry| entry.name.as_str())
    }

    /// Puts in all secrets that the URL's host may get.
    ///
    /// # Errors
    /// The name of a required one that is not set.
    pub fn inject(&self, url: &mut Url, headers: &mut HeaderMap) -> Result<(), String> {
        for entry in &self.entries {
            if matches!(entry.place, Place::Nowhere) || entry.hosts.check(url).is_err() {
                continue;
            }
            let Some(value) = &entry.value else {
                if entry.required {
                    return Err(entry.name.clone());
                }
                continue;
            };
            match &entry.place {
                Place::Header(name, Some(value)) => {
                    headers.insert(name.clone(), value.clone());
                }
                Place::Query(parameter) => {
                    url.query_pairs_mut().append_pair(parameter, value.reveal());
                }
                Place::Path => {
                    let filled = url.path().replace(&format!("%7Bsecret:{}%7D", entry.name), value.reveal());
                    url.set_path(&filled);
                }
                Place::Header(_, None) | Place::Signer(_) | Place::Nowhere => {}
            }
        }
        Ok(())
    }
}

impl Entry {
    fn new(
        spec: &SecretSpec,
        value: Option<&SecretValue>,
        base_host: Option<HostPattern>,
    ) -> Result<Self, String> {
        let header_value = |text: String| {
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| format!("the secret {} has characters that a header cannot carry", spec.name))?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        };
        let place = match spec.place {
            SecretPlace::Bearer => {
                let value =
                    value.map(|value| header_value(format!("Bearer {}", value.reveal()))).transpose()?;
                Place::Header(AUTHORIZATION, value)
            }
            SecretPlace::Basic => {
                let encode =
                    |value: &SecretValue| header_value(format!("Basic {}", STANDARD.encode(value.reveal())));
                Place::Header(AUTHORIZATION, value.map(encode).transpose()?)
            }
            SecretPlace::Header => {
                let name = spec.header.as_deref().unwrap_or_default();
                let name = HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| format!("the secret {} names an impossible header", spec.name))?;
                Place::Header(name, value.map(|value| header_value(value.reveal().to_owned())).transpose()?)
            }
            SecretPlace::Query => Place::Query(spec.parameter.clone().unwrap_or_default()),
            SecretPlace::Path => Place::Path,
            SecretPlace::Sigv4
            | SecretPlace::Jwt
            | SecretPlace::Oauth2Client
            | SecretPlace::GoogleServiceAccount => Place::Signer(None),
            SecretPlace::Webhook => Place::Nowhere,
        };
        let mut hosts: Vec<HostPattern> =
            spec.hosts.iter().filter_map(|host| HostPattern::parse(host)).collect();
        if spec.hosts.is_empty() {
            hosts.extend(base_host);
        }
        Ok(Self {
            name: spec.name.clone(),
            required: spec.required,
            place,
            // The policy has already decided whether and how the URL may be reached; this is only about who it is.
            hosts: Grants::new(Vec::new(), hosts),
            value: value.cloned(),
        })
    }
}

/// How a secret could come back: as it is, in base64, in a URL, inside a JSON string.
pub(super) fn spellings_of(secret: &str) -> Vec<Vec<u8>> {
    let percent: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = serde_json::Value::from(secret).to_string();
    let mut spellings =
        vec![secret.as_bytes().to_vec(), percent.into_bytes(), json.trim_matches('"').as_bytes().to_vec()];
    for alignment in 0..3 {
        let core = base64_core(secret.as_bytes(), alignment);
        spellings.push(core.replace('+', "-").replace('/', "_").into_bytes());
        spellings.push(core.into_bytes());
    }
    spellings.sort();
    spellings.dedup();
    spellings
}

/// The characters of a base64 text that a secret alone decides, where `alignment` bytes of something else precede it in its group
/// of three. An echo may encode a whole header or document.
fn base64_core(secret: &[u8], alignment: usize) -> String {
    let mut bytes = vec![0; alignment];
    bytes.extend_from_slice(secret);
    let whole = bytes.len() * 8 / 6;
    STANDARD.encode(&bytes)[(alignment * 8).div_ceil(6)..whole].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_inside_an_encoded_text_is_found_wherever_it_begins() {
        let secret = "sk-live-0123456789>?~";
        let patterns = Patterns::new(spellings_of(secret).iter().map(Vec::as_slice));
        for before in 0..7 {
            for after in 0..4 {
                let text = format!("{}{secret}{}", &"Bearer "[7 - before..], &"; q="[..after]);
                let encoded = STANDARD.encode(&text);
                let blanked = patterns.blank_text(&encoded).expect("found");
                assert_eq!(blanked.len(), encoded.len());
                assert!(blanked.matches('*').count() + 2 >= secret.len() * 4 / 3, "{blanked}");
            }
        }
    }
}
