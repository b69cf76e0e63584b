//! `[traces]`: the collector that takes this server's traces.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use atelier_domain::plugin::SecretValue;
use atelier_runtime::egress::HostPattern;
use figment::value::Value;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue};
use url::Url;

use super::Section;
use super::secret::SecretSource;

/// Attributes and headers that an operator adds.
const ADDED_MAX: usize = 32;
const ADDED_CHARACTERS_MAX: usize = 256;

/// Where traces go, and which.
#[derive(Clone, Debug)]
pub struct Traces {
    /// As it is asked: OTLP/HTTP (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>), usually at `/v1/traces`.
    pub endpoint: Url,
    /// The endpoint alone, as it is granted.
    pub host: HostPattern,
    /// Keys of the collector.
    pub headers: Vec<(HeaderName, SecretValue)>,
    /// The share of requests that are recorded, of those that no caller decides.
    pub sample_ratio: f64,
    /// Whether a request's own `traceparent` is followed.
    pub trust_callers: bool,
    pub service_name: String,
    /// What else the collector is told of this server.
    pub resource: Vec<(String, String)>,
    /// For one export.
    pub timeout: Duration,
    /// How long spans are gathered.
    pub every: Duration,
    /// Spans that wait; more are dropped.
    pub queue_max: usize,
    /// Spans of one export.
    pub batch_max: usize,
}

impl Traces {
    /// `None` where there is no endpoint, or where there are mistakes.
    pub(super) fn read(section: &mut Section, folder: &Path) -> Option<Self> {
        let endpoint = section.text("endpoint");
        let headers = section.map("headers", |value| SecretSource::of(value)?.read(folder));
        let headers = named(section, headers);
        let sample_ratio = section.value("sample_ratio", ratio).unwrap_or(1.0);
        let trust_callers = section.flag("trust_callers", false);
        let service_name = section.text("service_name").unwrap_or_else(|| "atelier".to_owned());
        if !is_short(&service_name) {
            section.wrong("service_name", format!("must have 1 to {ADDED_CHARACTERS_MAX} characters"));
        }
        let resource = section.map("resource", |value| match value.as_str() {
            Some(text) if is_short(text) => Ok(text.to_owned()),
            _ => Err(format!("must be a text in quotes of 1 to {ADDED_CHARACTERS_MAX} characters")),
        });
        if resource.len() > ADDED_MAX || resource.iter().any(|(name, _)| !is_short(name)) {
            section.wrong("resource", format!("has {ADDED_MAX} attributes with short names at most"));
        }
        let timeout = Duration::from_secs(section.number("timeout_seconds", 10, 1..=300));
        let every = Duration::from_millis(section.number("every_ms", 1_000, 10..=60_000));
        let queue_max = section.number("queue_spans", 8_192, 1..=1_000_000) as usize;
        let batch_max = section.number("batch_spans", 512, 1..=10_000) as usize;
        let text = endpoint?;
        let Some((endpoint, host)) = place_of(&text) else {
            section.wrong(
                "endpoint",
                "must be the URL at which the collector takes traces, such as \"http://127.0.0.1:4318/v1/traces\"",
            );
            return None;
        };
        if !headers.is_empty() && endpoint.scheme() == "http" && !is_here(&endpoint) {
            section.wrong("endpoint", "must begin with https:// for headers to be sent to another machine");
        }
        Some(Self {
            endpoint,
            host,
            headers,
            sample_ratio,
            trust_callers,
            service_name,
            resource,
            timeout,
            every,
            queue_max,
            batch_max,
        })
    }
}

/// Headers whose names are good, and not the exporter's own.
fn named(section: &Section, headers: Vec<(String, SecretValue)>) -> Vec<(HeaderName, SecretValue)> {
    const OWN: [HeaderName; 5] = [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING];
    if headers.len() > ADDED_MAX {
        section.wrong("headers", format!("has {ADDED_MAX} members at most"));
    }
    let good = headers.into_iter().filter_map(|(name, value)| {
        match HeaderName::try_from(&name).ok().filter(|name| !OWN.contains(name)) {
            Some(good) if HeaderValue::from_str(value.reveal()).is_ok() => Some((good, value)),
            Some(_) => {
                section.wrong(&format!("headers.{name}"), "has characters that a header cannot carry");
                None
            }
            None => {
                section.wrong(
                    &format!("headers.{name}"),
                    "is no name of a header, or the server's own to fill in",
                );
                None
            }
        }
    });
    good.collect()
}

fn ratio(value: &Value) -> Result<f64, String> {
    // The environment knows `1` and `0` as whole numbers.
    let number = match value {
        Value::Num(_, number) => number.to_f64().or_else(|| Some(number.to_u128()? as f64)),
        _ => None,
    };
    number
        .or_else(|| value.to_u128().map(|number| number as f64))
        .or_else(|| value.to_i128().map(|number| number as f64))
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| "must be a number from 0.0 to 1.0".to_owned())
}

fn is_short(text: &str) -> bool {
    (1..=ADDED_CHARACTERS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn place_of(text: &str) -> Option<(Url, HostPattern)> {
    let url = Url::parse(text).ok()?;
    let is_good = matches!(url.scheme(), "http" | "https")
        && url.path() != "/"
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    let port = url.port_or_known_default()?;
    let host = HostPattern::parse(&format!("{}:{port}", url.host_str()?))?;
    is_good.then_some((url, host))
}

/// Whether it means this machine.
pub(super) fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}
