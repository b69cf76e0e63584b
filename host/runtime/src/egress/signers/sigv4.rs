//! AWS Signature Version 4
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).

use std::collections::BTreeMap;
use std::fmt;

use atelier_domain::manifest::SigV4Spec;
use atelier_domain::time::Timestamp;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ring::{digest, hmac};
use url::Url;

use super::Settings;
use crate::egress::body::OutgoingBody;
use crate::egress::client::{EgressError, OutgoingRequest};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const AMZ_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const AMZ_CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// Larger bodies are hashed off the async threads.
const HASHED_INLINE_BYTES_MAX: u64 = 64 * 1024;
/// What proxies may change on the way, so that it is left out of the signature.
const UNSIGNED_HEADERS: [&str; 7] =
    ["authorization", "via", "user-agent", "x-request-id", "content-length", "connection", "expect"];

/// Signs requests with an account's credentials.
pub struct SigV4 {
    access_key: String,
    secret_key: String,
    session_token: Option<HeaderValue>,
    service: String,
    region: String,
    unsigned_payload: bool,
}

impl fmt::Debug for SigV4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigV4")
            .field("service", &self.service)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl SigV4 {
    /// # Errors
    /// The credentials are malformed, or there is no region; without the credentials.
    pub fn new(spec: &SigV4Spec, secret: &str, settings: &Settings) -> Result<Self, String> {
        let mut parts = secret.splitn(3, ':');
        let (Some(access_key), Some(secret_key)) = (parts.next(), parts.next()) else {
            return Err("it must read ACCESS_KEY_ID:SECRET_ACCESS_KEY".to_owned());
        };
        if access_key.is_empty()
            || secret_key.is_empty()
            || !access_key.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            return Err("it must read ACCESS_KEY_ID:SECRET_ACCESS_KEY".to_owned());
        }
        let session_token = parts.next().map(|token| {
            let mut value = HeaderValue::from_str(token)
                .map_err(|_| "its session token has characters that a header cannot carry".to_owned())?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        });
        let named = spec.region_setting.as_deref().and_then(|name| settings.get(name)?.as_str());
        let region = named.or(spec.region.as_deref()).ok_or_else(|| {
            format!(
                "the instance's setting {:?} must name a region",
                spec.region_setting.as_deref().unwrap_or("")
            )
        })?;
        if region.is_empty() || !region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(format!("{region:?} is not the name of a region"));
        }
        Ok(Self {
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            session_token: session_token.transpose()?,
            service: spec.service.clone(),
            region: region.to_owned(),
            unsigned_payload: spec.unsigned_payload,
        })
    }

    /// Whether a header is this signer's to fill in.
    pub fn owns_header(name: &HeaderName) -> bool {
        [AUTHORIZATION, AMZ_DATE, AMZ_TOKEN, AMZ_CONTENT].contains(name)
    }

    /// Signs a request as it is; gives the signature, which must not come back.
    ///
    /// # Errors
    /// Its body cannot be read.
    pub async fn sign(&self, request: &mut OutgoingRequest, now: Timestamp) -> Result<String, EgressError> {
        let payload = match self.leaves_unsigned(request) {
            true => UNSIGNED.to_owned(),
            false => hash(&request.body).await?,
        };
        let date = basic_format(now);
        let headers = &mut request.headers;
        headers.insert(AMZ_DATE, ascii(&date)?);
        if let Some(token) = &self.session_token {
            headers.insert(AMZ_TOKEN, token.clone());
        }
        // S3 wants to be told; the others find it in the signature.
        if self.service == "s3" {
            headers.insert(AMZ_CONTENT, ascii(&payload)?);
        }
        let (signature, signed) = self.signature(&request.method, &request.url, headers, &payload, &date);
        let scope = self.scope(&date);
        let key = &self.access_key;
        let mut value = ascii(&format!(
            "{ALGORITHM} Credential={key}/{scope}, SignedHeaders={signed}, Signature={signature}"
        ))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(signature)
    }

    /// A body in a file would have to be read twice; over TLS it cannot be changed on the way.
    fn leaves_unsigned(&self, request: &OutgoingRequest) -> bool {
        self.unsigned_payload && request.url.scheme() == "https" && !request.body.is_in_memory()
    }

    fn scope(&self, date: &str) -> String {
        format!("{}/{}/{}/aws4_request", &date[..8], self.region, self.service)
    }

    /// The signature, and the names of the headers that it covers.
    fn signature(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        payload: &str,
        date: &str,
    ) -> (String, String) {
        let mut canonical = BTreeMap::from([("host", host(url))]);
        for name in headers.keys().filter(|name| !UNSIGNED_HEADERS.contains(&name.as_str())) {
            let values = headers.get_all(name).iter();
            let values: Vec<_> =
                values.map(|value| collapsed(&String::from_utf8_lossy(value.as_bytes()))).collect();
            canonical.insert(name.as_str(), values.join(","));
        }
        let signed = canonical.keys().copied().collect::<Vec<_>>().join(";");
        let lines: String = canonical.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let (path, query) = (self.path(url.path()), query(url.query().unwrap_or_default()));
        let request = format!("{method}\n{path}\n{query}\n{lines}\n{signed}\n{payload}");
        let digest = hex::encode(digest::digest(&digest::SHA256, request.as_bytes()));
        let text = format!("{ALGORITHM}\n{date}\n{}\n{digest}", self.scope(date));
        let mut key = format!("AWS4{}", self.secret_key).into_bytes();
        for part in [&date[..8], &self.region, &self.service, "aws4_request", &text] {
            key = mac(&key, part.as_bytes()).as_ref().to_vec();
        }
        (hex::encode(key), signed)
    }

    /// The path once more encoded and without empty segments, but for S3, which takes it as it is sent.
    fn path(&self, path: &str) -> String {
        if self.service == "s3" {
            return encoded(&decoded(path), true);
        }
        let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        if path.ends_with('/') {
            segments.push("");
        }
        format!("/{}", encoded(segments.join("/").as_bytes(), true))
    }
}

fn mac(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

fn ascii(text: &str) -> Result<HeaderValue, EgressError> {
    HeaderValue::from_str(text).map_err(|_| EgressError::Invalid("the signature cannot be sent".to_owned()))
}

/// ISO 8601's basic format: `20150830T123600Z`.
fn basic_format(moment: Timestamp) -> String {
    let text = moment.rfc3339();
    let mut basic: String = text[..19].chars().filter(|c| !matches!(c, '-' | ':')).collect();
    basic.push('Z');
    basic
}

/// As the `host` header will say it.
fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// Without white space around it, and with single spaces inside.
fn collapsed(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Parameters sorted by their encoded name, then value.
fn query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encoded(&decoded(name), false), encoded(&decoded(value), false))
        })
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Percent-encoded but for RFC 3986's unreserved characters, and slashes where they stay.
fn encoded(bytes: &[u8], slashes_stay: bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(*byte as char),
            b'/' if slashes_stay => text.push('/'),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

fn decoded(text: &str) -> Vec<u8> {
    let (bytes, mut out, mut i) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while i < bytes.len() {
        let escaped = (bytes[i] == b'%').then(|| bytes.get(i + 1..i + 3)).flatten();
        match escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    out
}

/// The body's SHA-256 in hexadecimal.
async fn hash(body: &OutgoingBody) -> Result<String, EgressError> {
    let (is_small, copy) = (body.is_in_memory() && body.length() <= HASHED_INLINE_BYTES_MAX, body.copy());
    let work = move || {
        let mut hasher = digest::Context::new(&digest::SHA256);
        copy.read_chunks(|chunk| hasher.update(chunk)).map(|()| hex::encode(hasher.finish()))
    };
    let hashed = match is_small {
        true => work(),
        false => {
            tokio::task::spawn_blocking(work).await.unwrap_or_else(|lost| Err(std::io::Error::other(lost)))
        }
    };
    hashed.map_err(|error| EgressError::Invalid(format!("the body could not be read to sign it: {error}")))
}

#[cfg(test)]
mod tests;
