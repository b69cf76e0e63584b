//! Routes that are to go say so in each of their answers (E-10).

use std::time::{Duration, UNIX_EPOCH};

use http::header::{HeaderMap, HeaderName, HeaderValue, LINK};

use super::gate::ascii;

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// When a route became, or becomes, one not to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// Unix seconds: `deprecation: @…` (RFC 9745 §2.1).
    pub since: i64,
    /// Unix seconds from which the route may be gone: `sunset` (RFC 8594 §3), never before `since`.
    pub sunset: Option<u64>,
    /// The path to use in its place: `link` with `rel="successor-version"` (RFC 5829 §3.3).
    pub successor: Option<&'static str>,
}

impl Deprecation {
    /// Writes what callers should know.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        headers.insert(DEPRECATION, ascii(&format!("@{}", self.since)));
        if let Some(sunset) = self.sunset {
            let moment = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(sunset));
            headers.insert(SUNSET, ascii(&moment));
        }
        if let Some(successor) = self.successor
            && let Ok(link) = HeaderValue::try_from(format!("<{successor}>; rel=\"successor-version\""))
        {
            headers.append(LINK, link);
        }
    }
}
