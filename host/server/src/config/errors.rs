//! `[errors]`: who is told of this server's own errors.

use std::path::Path;
use std::time::Duration;

use atelier_domain::plugin::SecretValue;
use atelier_runtime::egress::HostPattern;
use url::Url;

use super::Section;
use super::secret::SecretSource;
use super::traces::is_here;

/// Characters of a release and of an environment, as Sentry takes them (<https://develop.sentry.dev/sdk/data-model/event-payloads/>).
const RELEASE_CHARACTERS_MAX: usize = 200;
const ENVIRONMENT_CHARACTERS_MAX: usize = 64;
/// Characters of a DSN's key and of its project.
const WORD_CHARACTERS_MAX: usize = 128;

/// Where reports of errors go, and how many.
#[derive(Clone, Debug)]
pub struct Errors {
    /// As it is asked, without the key: `…/api/PROJECT/envelope/`.
    pub endpoint: Url,
    /// The endpoint alone, as it is granted.
    pub host: HostPattern,
    /// The DSN's public key. Whoever has it can send reports.
    pub key: SecretValue,
    pub environment: String,
    pub release: String,
    /// For one attempt at one report.
    pub timeout: Duration,
    /// Reports that wait; more are dropped.
    pub queue_max: usize,
    /// Reports of one minute; more are dropped, so that an error in a loop floods nobody.
    pub per_minute_max: u32,
}

impl Errors {
    /// `None` where there is no DSN, or where there are mistakes.
    pub(super) fn read(section: &mut Section, folder: &Path) -> Option<Self> {
        let dsn = section.value("dsn", |value| place_of(&SecretSource::of(value)?.read(folder)?));
        let environment = section.text("environment").unwrap_or_else(|| "production".to_owned());
        if !is_name(&environment, ENVIRONMENT_CHARACTERS_MAX) || environment.contains(' ') {
            let what =
                format!("must have 1 to {ENVIRONMENT_CHARACTERS_MAX} characters, no spaces and no slashes");
            section.wrong("environment", what);
        }
        let usual = || concat!("atelier@", env!("CARGO_PKG_VERSION")).to_owned();
        let release = section.text("release").unwrap_or_else(usual);
        if !is_name(&release, RELEASE_CHARACTERS_MAX) || matches!(release.as_str(), "." | ".." | " ") {
            section.wrong(
                "release",
                format!("must have 1 to {RELEASE_CHARACTERS_MAX} characters and no slashes"),
            );
        }
        let timeout = Duration::from_secs(section.number("timeout_seconds", 10, 1..=300));
        let queue_max = section.number("queue_reports", 100, 1..=10_000) as usize;
        let per_minute_max = section.number("per_minute", 60, 1..=10_000) as u32;
        let Place { endpoint, host, key } = dsn?;
        Some(Self { endpoint, host, key, environment, release, timeout, queue_max, per_minute_max })
    }
}

/// What a DSN says.
struct Place {
    endpoint: Url,
    host: HostPattern,
    key: SecretValue,
}

/// Reads `SCHEME://KEY[:SECRET]@HOST[:PORT][/PATH]/PROJECT` (<https://develop.sentry.dev/sdk/overview/>). The secret has not been wanted
/// since Sentry 9 and is sent nowhere. What is wrong is told without the DSN.
fn place_of(dsn: &SecretValue) -> Result<Place, String> {
    const FORM: &str = "must be a DSN, such as https://KEY@sentry.example.com/42";
    let mut url = Url::parse(dsn.reveal()).map_err(|_| FORM)?;
    let key = SecretValue::new(url.username());
    let (path, project) = url.path().rsplit_once('/').ok_or(FORM)?;
    let is_good = matches!(url.scheme(), "http" | "https")
        && is_word(key.reveal())
        && is_word(project)
        && url.query().is_none()
        && url.fragment().is_none();
    if !is_good {
        return Err(FORM.to_owned());
    }
    let endpoint = format!("{path}/api/{project}/envelope/");
    url.set_path(&endpoint);
    // It has a host, or there would be no user before it.
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| FORM)?;
    if url.scheme() == "http" && !is_here(&url) {
        return Err("must begin with https:// for a receiver on another machine".to_owned());
    }
    let port = url.port_or_known_default().ok_or(FORM)?;
    let host = HostPattern::parse(&format!("{}:{port}", url.host_str().ok_or(FORM)?)).ok_or(FORM)?;
    Ok(Place { endpoint: url, host, key })
}

fn is_word(text: &str) -> bool {
    (1..=WORD_CHARACTERS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn is_name(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.chars().count())
        && !text.contains(['/', '\\'])
        && !text.contains(char::is_control)
}
