//! `[server.tls]` and `[admin.tls]`, and where there may be none.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::Section;
use crate::listener::{TlsFiles, TlsSetup};

const YEAR_SECONDS: u64 = 31_536_000;

/// How a listener is reached.
#[derive(Clone, Debug)]
pub struct Transport {
    pub(crate) tls: Option<TlsSetup>,
    /// The operator says that callers may reach it without TLS from other machines.
    pub insecure_http: bool,
}

impl Transport {
    /// Reads a listener's part. Its files are read as well, so that what is wrong with them is told with everything else.
    pub(super) fn read(section: &mut Section, listen: SocketAddr, folder: &Path, with_clients: bool) -> Self {
        let tls = section.section("tls", |section| tls(section, folder, with_clients));
        let insecure_http = section.flag("insecure_http", false);
        let is_wrong = matches!(tls, Err(Wrong));
        let tls = tls.unwrap_or_default();
        if tls.is_none() && !is_wrong && !insecure_http && !listen.ip().to_canonical().is_loopback() {
            section.wrong(
                "listen",
                format!(
                    "{listen} can be reached from other machines, without TLS: set certificate and key in [{}], listen on a \
                     loopback address, behind a proxy that has TLS for instance, or say insecure_http = true",
                    section.name_of("tls")
                ),
            );
        }
        Self { tls, insecure_http }
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Where its certificate lies.
    pub(crate) fn files(&self) -> Option<&TlsFiles> {
        self.tls.as_ref().map(|tls| &tls.files)
    }
}

/// There is a mistake, which is told already.
struct Wrong;

fn tls(section: &mut Section, folder: &Path, with_clients: bool) -> Result<Option<TlsSetup>, Wrong> {
    let (certificate, key) = (section.text("certificate"), section.text("key"));
    let client_ca = if with_clients { section.text("client_ca") } else { None };
    let mut seconds = |key, usual, bounds| Duration::from_secs(section.number(key, usual, bounds));
    let handshake_max = seconds("handshake_seconds", 10, 1..=600);
    let reload_every = seconds("reload_seconds", 10, 1..=3_600);
    let hsts = seconds("hsts_seconds", YEAR_SECONDS, 0..=10 * YEAR_SECONDS);
    let handshakes_max = section.number("handshakes", 1_000, 1..=100_000) as usize;
    let handshakes_per_address_max = section.number("handshakes_per_address", 100, 1..=100_000) as usize;
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (folder.join(certificate), folder.join(key)),
        (None, None) if client_ca.is_none() => return Ok(None),
        (certificate, key) => {
            if certificate.is_none() {
                section
                    .wrong("certificate", "is missing: name the PEM file of the certificate and its chain");
            }
            if key.is_none() {
                section.wrong("key", "is missing: name the PEM file of the certificate's key");
            }
            return Err(Wrong);
        }
    };
    let files = TlsFiles { certificate, key, client_ca: client_ca.map(|path| folder.join(path)) };
    if let Err(bad) = files.load() {
        section.wrong(bad.setting, bad.to_string());
        return Err(Wrong);
    }
    Ok(Some(TlsSetup {
        files,
        handshake_max,
        handshakes_max,
        handshakes_per_address_max,
        reload_every,
        hsts,
    }))
}
