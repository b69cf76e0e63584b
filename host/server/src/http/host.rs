//! For which host a request is meant: one, well written, and, where the operator names them, one of this server's.

use std::str::FromStr as _;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Uri, Version};

use super::ApiError;

/// A name that this server answers to, and the port if it is that one alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    name: String,
    port: Option<u16>,
}

impl HostName {
    /// Reads `name` or `name:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let authority = authority(text)?;
        let is_name = authority.host() != "*" && !authority.host().contains('*');
        is_name.then(|| Self { name: authority.host().to_ascii_lowercase(), port: authority.port_u16() })
    }

    fn is(&self, authority: &Authority) -> bool {
        self.name.eq_ignore_ascii_case(authority.host().trim_end_matches('.'))
            && self.port.is_none_or(|port| authority.port_u16() == Some(port))
    }

    /// Whether it has this name, whatever the port.
    pub fn has_name(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// As a client writes it.
    pub fn written(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.name),
            None => self.name.clone(),
        }
    }
}

/// A host and perhaps a port, and nothing else.
fn authority(text: &str) -> Option<Authority> {
    let authority = Authority::from_str(text).ok()?;
    let host = authority.host();
    let port = authority.as_str().strip_prefix(host)?;
    let is_port =
        |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok();
    let is_whole = !host.is_empty() && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    is_whole.then_some(authority)
}

/// Sees whether a request says for whom it is, once (RFC 9112 §3.2), and whether that is this server. A request that two may read as meant
/// for different hosts is one that a proxy before this server was made to pass on.
///
/// # Errors
/// It says nothing, or too much; or it is meant for another.
pub(super) fn check(
    version: Version,
    uri: &Uri,
    headers: &HeaderMap,
    hosts: &[HostName],
) -> Result<(), ApiError> {
    let mut lines = headers.get_all(HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(ApiError::HostMalformed);
    }
    if line.is_none() && uri.authority().is_none() && version >= Version::HTTP_11 {
        return Err(ApiError::HostMalformed);
    }
    if let (Some(line), Some(target)) = (line, uri.authority())
        && !line.as_bytes().eq_ignore_ascii_case(target.as_str().as_bytes())
    {
        return Err(ApiError::HostMalformed);
    }
    if hosts.is_empty() {
        return Ok(());
    }
    let said = match (uri.authority(), line) {
        (Some(target), _) => authority(target.as_str()),
        (None, Some(line)) => line.to_str().ok().and_then(authority),
        (None, None) => None,
    };
    let said = said.ok_or(ApiError::HostMalformed)?;
    if hosts.iter().any(|host| host.is(&said)) { Ok(()) } else { Err(ApiError::Misdirected) }
}
