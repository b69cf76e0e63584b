//! `[server]`, `[admin]`, `[storage]`, `[local]` and `[log]`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atelier_domain::file::FileQuota;
use atelier_service::callbacks::Network;
use http::HeaderValue;
use url::Url;

use super::{Section, Transport};
use crate::http::cross_origin::CrossOrigin;
use crate::http::host::HostName;
use crate::http::proxied::{ForwardedHeader, Proxies};

/// The listener for callers.
#[derive(Clone, Debug)]
pub struct Server {
    pub listen: SocketAddr,
    pub transport: Transport,
    /// How the server is reached from outside, without a trailing slash.
    pub public_url: Option<String>,
    /// The hosts that this server answers for; empty: any.
    pub hosts: Vec<HostName>,
    /// Pages of other origins that may use it.
    pub cross_origin: CrossOrigin,
    /// Who is believed when they say for whom a request is.
    pub proxies: Proxies,
    /// Connections open at once.
    pub connections_max: usize,
    /// Of these from one address.
    pub connections_per_address_max: usize,
    /// Requests at once on one connection (HTTP/2).
    pub streams_per_connection_max: u32,
    /// How long running requests may take to end when the server stops.
    pub drain_max: Duration,
    /// How long a client may take to send a request's head, the first as well as one on a connection that it keeps.
    pub head_max: Duration,
    /// How long a client may take nothing of what waits for it.
    pub write_idle_max: Duration,
    /// How often an HTTP/2 client is asked whether it is there.
    pub ping_every: Duration,
    /// How long a client may pause while it sends a body.
    pub body_idle_max: Duration,
    /// How long a request may take to be answered, a stream until it begins.
    pub request_max: Duration,
    /// How long a stream's provider may be silent.
    pub stream_idle_max: Duration,
    /// How long a stream may take from its begin to its end.
    pub stream_max: Duration,
}

impl Server {
    pub(super) fn read(section: &mut Section, folder: &Path) -> Self {
        let listen = section.socket("listen", "127.0.0.1:8484");
        let transport = Transport::read(section, listen, folder, false);
        let mut seconds = |key, usual, max| Duration::from_secs(section.number(key, usual, 1..=max));
        let drain_max = seconds("drain_seconds", 30, 3600);
        let request_max = seconds("request_seconds", 600, 86_400);
        let stream_idle_max = seconds("stream_idle_seconds", 30, 3600);
        let stream_max = seconds("stream_seconds", 600, 86_400);
        let head_max = seconds("head_seconds", 15, 600);
        let body_idle_max = seconds("body_idle_seconds", 30, 3600);
        let write_idle_max = seconds("write_idle_seconds", 60, 3600);
        let ping_every = seconds("ping_seconds", 30, 3600);
        let public_url = section.text("public_url").map(|url| url.trim_end_matches('/').to_owned());
        if public_url.as_ref().is_some_and(|url| !(url.starts_with("http://") || url.starts_with("https://")))
        {
            section.wrong("public_url", "must begin with http:// or https://");
        }
        Self {
            listen,
            transport,
            hosts: hosts(section, public_url.as_deref()),
            cross_origin: section.section("cors", cross_origin),
            proxies: proxies(section),
            public_url,
            connections_max: section.number("connections", 10_000, 1..=1_000_000) as usize,
            connections_per_address_max: section.number("connections_per_address", 1_000, 1..=1_000_000)
                as usize,
            streams_per_connection_max: section.number("streams_per_connection", 256, 1..=65_536) as u32,
            drain_max,
            head_max,
            write_idle_max,
            ping_every,
            body_idle_max,
            request_max,
            stream_idle_max,
            stream_max,
        }
    }
}

/// The hosts that the server answers for.
fn hosts(section: &mut Section, public_url: Option<&str>) -> Vec<HostName> {
    let mut hosts = Vec::new();
    for text in section.texts("hosts") {
        match HostName::parse(&text) {
            Some(host) => hosts.push(host),
            None => section.wrong("hosts", format!("{text:?} is no host, such as \"atelier.example.com\"")),
        }
    }
    let outside = public_url.and_then(|url| Url::parse(url).ok());
    if let Some(outside) = outside.as_ref().and_then(Url::host_str)
        && !hosts.is_empty()
        && !hosts.iter().any(|host| host.has_name(outside))
    {
        section.wrong("hosts", format!("lacks {outside}, where public_url says that the server is reached"));
    }
    hosts
}

/// `[server.cors]`.
fn cross_origin(section: &mut Section) -> CrossOrigin {
    let mut origins = Vec::new();
    for text in section.texts("origins") {
        // As browsers write it; what is opaque, or stands for many, is none.
        let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let written = url.map(|url| url.origin().ascii_serialization());
        match HeaderValue::from_str(&text) {
            Ok(origin) if written.as_deref() == Some(&text) && !text.contains('*') => origins.push(origin),
            _ => section.wrong(
                "origins",
                format!(
                    "{text:?} is no origin: write scheme, host and port, such as \"https://app.example.com\""
                ),
            ),
        }
    }
    CrossOrigin {
        origins: origins.into(),
        credentials: section.flag("credentials", false),
        max_age_seconds: section.number("max_age_seconds", 600, 0..=86_400),
    }
}

/// The operator's proxies.
fn proxies(section: &mut Section) -> Proxies {
    let mut networks = Vec::new();
    for text in section.texts("trusted_proxies") {
        match text.parse::<Network>() {
            Ok(_) if text.ends_with("/0") => {
                section.wrong(
                    "trusted_proxies",
                    format!("{text:?} is everybody: then anybody could be anybody"),
                );
            }
            Ok(network) => networks.push(network),
            Err(error) => section.wrong("trusted_proxies", format!("{text:?}: {error}")),
        }
    }
    let header = match section.text("forwarded_header").as_deref() {
        None => ForwardedHeader::default(),
        Some(name) if name.eq_ignore_ascii_case("x-forwarded-for") => ForwardedHeader::For,
        Some(name) if name.eq_ignore_ascii_case("forwarded") => ForwardedHeader::Forwarded,
        Some(_) => {
            section.wrong("forwarded_header", "must be \"x-forwarded-for\" or \"forwarded\"");
            ForwardedHeader::default()
        }
    };
    Proxies { networks: networks.into(), header }
}

/// How long providers may take, for every request that leaves this host.
#[derive(Clone, Copy, Debug)]
pub struct Upstream {
    /// Until there is a connection, names looked up and TLS agreed on.
    pub connect_max: Duration,
    /// From sending a request to the head of its answer.
    pub first_byte_max: Duration,
    /// Between two pieces of an answer's body.
    pub idle_max: Duration,
}

impl Upstream {
    pub(super) fn read(section: &mut Section) -> Self {
        let mut seconds = |key, usual| Duration::from_secs(section.number(key, usual, 1..=86_400));
        Self {
            connect_max: seconds("connect_seconds", 10),
            first_byte_max: seconds("first_byte_seconds", 300),
            idle_max: seconds("idle_seconds", 120),
        }
    }
}

/// The listener for operators: health and metrics.
#[derive(Clone, Debug)]
pub struct Admin {
    pub listen: SocketAddr,
    pub transport: Transport,
}

impl Admin {
    pub(super) fn read(section: &mut Section, folder: &Path) -> Self {
        let listen = section.socket("listen", "127.0.0.1:8485");
        Self { listen, transport: Transport::read(section, listen, folder, true) }
    }
}

/// Where data lies.
#[derive(Clone, Debug)]
pub struct Storage {
    pub path: PathBuf,
    /// Store calls that run at once.
    pub threads: usize,
    /// What a user keeps.
    pub quota: FileQuota,
    /// Uploads of one user under way.
    pub uploads_per_user: usize,
    /// While less of the disk is free, uploads and new jobs are refused.
    pub min_free_bytes: u64,
    /// How long content that nothing names is left alone.
    pub grace: Duration,
}

impl Storage {
    pub(super) fn read(section: &mut Section, folder: &Path) -> Self {
        let path = section.text("path").unwrap_or_else(|| "data".to_owned());
        if path.is_empty() {
            section.wrong("path", "must name a folder, relative to the configuration file or absolute");
        }
        Self {
            path: folder.join(path),
            threads: section.number("threads", 32, 1..=256) as usize,
            quota: FileQuota {
                bytes: section.number("quota_mib", 10_240, 1..=1_073_741_824) << 20,
                files: section.number("quota_files", 100_000, 1..=1_000_000_000),
            },
            uploads_per_user: section.number("uploads_per_user", 8, 1..=1_000) as usize,
            min_free_bytes: section.number("min_free_mib", 512, 0..=1_073_741_824) << 20,
            grace: Duration::from_secs(section.number("grace_hours", 48, 1..=8_760) * 3_600),
        }
    }

    /// The database's folder.
    pub fn database(&self) -> PathBuf {
        self.path.join("store")
    }
    /// The blob store's folder.
    pub fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Text,
}

/// What is logged.
#[derive(Clone, Debug)]
pub struct Log {
    pub format: LogFormat,
    pub level: tracing::Level,
    /// Whether plugins' own lines are written: their texts are theirs, and may hold what callers sent.
    pub plugins: bool,
}

impl Log {
    pub(super) fn read(section: &mut Section) -> Self {
        let format = match section.text("format").as_deref() {
            None | Some("json") => LogFormat::Json,
            Some("text") => LogFormat::Text,
            Some(_) => {
                section.wrong("format", "must be \"json\" or \"text\"");
                LogFormat::Json
            }
        };
        let level = section.text("level").unwrap_or_else(|| "info".to_owned());
        let level = level.parse().unwrap_or_else(|_| {
            section.wrong("level", "must be \"error\", \"warn\", \"info\", \"debug\" or \"trace\"");
            tracing::Level::INFO
        });
        Self { format, level, plugins: section.flag("plugins", false) }
    }
}
