//! `atelier:provider/http`: checks what the guest asks for and hands it to the egress.

mod charging;

use atelier_domain::blob::Blob;
use atelier_domain::egress::EgressDenial;
use atelier_domain::failure::{Limit, ProviderError};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;
use wasmtime::component::Resource;

use super::blobs::blocking;
use crate::egress::{Egress, EgressError, IncomingBody, OutgoingBody, OutgoingRequest, Segment};
use crate::host_state::CallState;
use crate::traffic::OpenRequest;
use crate::v0_1::bindings::host::atelier::provider::http::{
    BlobSlice, Body, Effect, Host, HostIncomingBody, HttpError, Part, Request, Response,
    Segment as WitSegment,
};
use crate::v0_1::bindings::host::atelier::provider::types::Pair;

const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: usize = 32 * 1024;
const SEGMENTS_MAX: usize = 1_024;
const URL_BYTES_MAX: usize = 8 * 1024;
/// Bytes read from a connection at a time when the host reads for itself.
const READ_BYTES: usize = 64 * 1024;

/// Headers that decide how a message is framed, routed or decoded, and those that say what it is a part of: the host's alone.
const HOST_HEADERS: [&str; 22] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-connection",
    "via",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "accept-encoding",
    "cookie",
    "traceparent",
    "tracestate",
];

fn invalid(message: impl Into<String>) -> HttpError {
    HttpError { code: "invalid".to_owned(), message: message.into() }
}

impl CallState {
    /// The contract's error for one of the egress; denials are remembered for the operator.
    pub fn http_error(&mut self, error: &EgressError) -> HttpError {
        if let Some(refusal) = self.shared.refusal(error, &self.context.request_id) {
            self.refuse(refusal);
        }
        HttpError { code: error.code().to_owned(), message: error.to_string() }
    }

    fn limit_reached(&mut self, limit: Limit, budget: String) -> HttpError {
        self.refuse_limit(limit, budget.clone());
        HttpError { code: "limit-reached".to_owned(), message: format!("{limit}: {budget}") }
    }

    fn count_request(&mut self) -> Result<OpenRequest, HttpError> {
        let begun = self.traffic.begin(&self.shared.profile);
        begun.map_err(|budget| self.limit_reached(Limit::OpenRequests, budget))
    }

    pub(super) fn count_response_bytes(&mut self, bytes: usize) -> Result<(), HttpError> {
        self.used.response_bytes = self.used.response_bytes.saturating_add(bytes as u64);
        let max = self.shared.profile.response_bytes;
        if self.used.response_bytes > max {
            return Err(self.limit_reached(Limit::ResponseBytes, format!("{max} bytes")));
        }
        Ok(())
    }

    fn slice(&self, slice: &BlobSlice) -> Result<(Blob, u64, u64), HttpError> {
        let blob = self.table.get(&slice.blob).map_err(|_| invalid("there is no such blob"))?.clone();
        let left =
            blob.size.checked_sub(slice.offset).ok_or_else(|| invalid("the range begins after the blob"))?;
        let length = slice.length.unwrap_or(left);
        if length > left {
            return Err(invalid("the range ends after the blob"));
        }
        Ok((blob, slice.offset, length))
    }

    fn segment(&self, segment: WitSegment) -> Result<Segment, HttpError> {
        Ok(match segment {
            WitSegment::Bytes(bytes) => Segment::Bytes(bytes.into()),
            WitSegment::Blob(slice) => {
                let (blob, offset, length) = self.slice(&slice)?;
                Segment::Blob(blob, offset, length)
            }
            WitSegment::Base64(slice) => {
                let (blob, offset, length) = self.slice(&slice)?;
                Segment::Base64(blob, offset, length)
            }
        })
    }

    fn body(&self, body: Body, headers: &mut HeaderMap) -> Result<OutgoingBody, HttpError> {
        match body {
            Body::None => Ok(OutgoingBody::default()),
            Body::Bytes(bytes) => Ok(OutgoingBody::full(bytes.into())),
            Body::Segments(segments) if segments.len() > SEGMENTS_MAX => {
                Err(invalid("the body has too many segments"))
            }
            Body::Segments(segments) => {
                let segments: Result<Vec<_>, _> =
                    segments.into_iter().map(|segment| self.segment(segment)).collect();
                Ok(OutgoingBody::from_segments(segments?))
            }
            Body::Multipart(parts) => self.multipart(parts, headers),
        }
    }

    /// `multipart/form-data` (RFC 7578), with a boundary that no content can guess.
    fn multipart(&self, parts: Vec<Part>, headers: &mut HeaderMap) -> Result<OutgoingBody, HttpError> {
        if parts.len() > SEGMENTS_MAX / 2 {
            return Err(invalid("the form has too many parts"));
        }
        let mut random = [0u8; 16];
        self.shared.randomness.fill(&mut random).map_err(|error| invalid(error.to_string()))?;
        let boundary = format!("atelier-{}", hex::encode(random));
        let mut segments = Vec::with_capacity(parts.len() * 3 + 1);
        for part in parts {
            let mut head =
                format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{}\"", quoted(&part.name)?);
            if let Some(filename) = &part.filename {
                head.push_str(&format!("; filename=\"{}\"", quoted(filename)?));
            }
            if let Some(content_type) = &part.content_type {
                HeaderValue::from_str(content_type)
                    .map_err(|_| invalid("a part's media type is malformed"))?;
                head.push_str(&format!("\r\ncontent-type: {content_type}"));
            }
            head.push_str("\r\n\r\n");
            segments.push(Segment::Bytes(head.into()));
            segments.push(self.segment(part.content)?);
            segments.push(Segment::Bytes(Bytes::from_static(b"\r\n")));
        }
        segments.push(Segment::Bytes(format!("--{boundary}--\r\n").into()));
        let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"))
            .map_err(|_| invalid("the boundary is malformed"))?;
        headers.insert(http::header::CONTENT_TYPE, content_type);
        Ok(OutgoingBody::from_segments(segments))
    }

    fn headers(&mut self, pairs: Vec<Pair>) -> Result<HeaderMap, HttpError> {
        let bytes: usize = pairs.iter().map(|pair| pair.name.len() + pair.value.len()).sum();
        if pairs.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
            return Err(invalid(format!(
                "there may be {HEADERS_MAX} headers of {HEADER_BYTES_MAX} bytes in all"
            )));
        }
        let mut headers = HeaderMap::with_capacity(pairs.len() + 6);
        for Pair { name, value } in pairs {
            let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(&value).ok());
            let Some((name, value)) = parsed else {
                return Err(self.forbidden_header(&name, "has characters that a header cannot carry"));
            };
            if HOST_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("proxy-") {
                return Err(self.forbidden_header(name.as_str(), "is the host's alone"));
            }
            if self.shared.secrets.owns_header(&name) {
                return Err(self.forbidden_header(name.as_str(), "carries a secret, which the host fills in"));
            }
            headers.append(name, value);
        }
        Ok(headers)
    }

    fn forbidden_header(&mut self, name: &str, why: &str) -> HttpError {
        let blanked = self.shared.secrets.patterns().blank_text(name);
        let name: String = blanked
            .as_deref()
            .unwrap_or(name)
            .chars()
            .take(64)
            .map(|c| if c.is_control() { '?' } else { c })
            .collect();
        let what = format!("the header {name:?} {why}");
        self.refuse(ProviderError::Forbidden { instance: self.shared.name.clone(), what: what.clone() });
        invalid(what)
    }

    fn outgoing(&mut self, request: Request) -> Result<OutgoingRequest, HttpError> {
        if request.url.len() > URL_BYTES_MAX {
            return Err(invalid(format!("a URL has {URL_BYTES_MAX} bytes at most")));
        }
        let url =
            Url::parse(&request.url).map_err(|error| invalid(format!("the URL is malformed: {error}")))?;
        let method = match request.method.as_str() {
            "GET" => Method::GET,
            "HEAD" => Method::HEAD,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            _ => return Err(invalid("the method must be GET, HEAD, POST, PUT, PATCH or DELETE")),
        };
        let mut headers = self.headers(request.headers)?;
        if let Some(name) = request.idempotency_header {
            let value = HeaderValue::from_str(&self.context.idempotency_key)
                .map_err(|_| invalid("the idempotency key cannot stand in a header"))?;
            let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
            let allowed = parsed.filter(|name| {
                !HOST_HEADERS.contains(&name.as_str()) && !self.shared.secrets.owns_header(name)
            });
            let Some(name) = allowed else {
                return Err(self.forbidden_header(&name, "cannot carry an idempotency key"));
            };
            headers.insert(name, value);
        }
        let body = self.body(request.body, &mut headers)?;
        let request_id = HeaderValue::from_str(&self.context.request_id).ok();
        let (depth, trace) = (self.context.depth, self.context.trace.clone());
        Ok(OutgoingRequest { method, url, headers, body, request_id, depth, trace })
    }

    /// A request that cannot be signed does not leave, and so is not journaled as if it might have.
    async fn ready_to_sign(&mut self, egress: &Egress, url: &Url) -> Result<(), HttpError> {
        let (egress, url, shared) = (egress.clone(), url.clone(), self.shared.clone());
        let prepared = async move { egress.prepare(&url, &shared.grants, &shared.secrets).await };
        match self.at_home(prepared).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.http_error(&error)),
            Err(lost) => Err(self.http_error(&EgressError::Reset(lost.to_string()))),
        }
    }

    async fn send_request(&mut self, request: Request) -> Result<Response, HttpError> {
        let open = self.count_request()?;
        let (effect, repeatable) = (request.effect, request.idempotency_header.is_some());
        let outgoing = self.outgoing(request)?;
        let Some(egress) = self.shared.egress.clone() else {
            let host = outgoing.url.host_str().unwrap_or_default().to_owned();
            return Err(self.http_error(&EgressError::Denied { host, denial: EgressDenial::NoWayOut }));
        };
        if self.shared.secrets.signs() {
            self.ready_to_sign(&egress, &outgoing.url).await?;
        }
        self.journal(effect, repeatable).await?;
        let shared = self.shared.clone();
        let sent = async move { egress.send(outgoing, &shared.grants, &shared.secrets).await };
        let mut received = match self.at_home(sent).await {
            Ok(Ok(received)) => received,
            Ok(Err(error)) => {
                if error.is_before_sending() {
                    self.withdraw(effect, repeatable);
                }
                return Err(self.http_error(&error));
            }
            Err(lost) => return Err(self.http_error(&EgressError::Reset(lost.to_string()))),
        };
        if received.status == StatusCode::TOO_MANY_REQUESTS {
            self.withdraw(effect, repeatable);
        }
        self.traffic.answered(received.status.is_success(), &received.headers, self.shared.clock.now());
        received.body.keep(open);
        let headers = received
            .headers
            .iter()
            .filter_map(|(name, value)| {
                Some(Pair { name: name.as_str().to_owned(), value: value.to_str().ok()?.to_owned() })
            })
            .collect();
        let body = self.push(received.body).map_err(|error| invalid(error.to_string()))?;
        Ok(Response { status: received.status.as_u16(), headers, body })
    }

    async fn save_body(
        &mut self,
        body: &Resource<IncomingBody>,
        content_type: Option<String>,
    ) -> wasmtime::Result<Result<Blob, HttpError>> {
        let store = self.shared.blobs.clone();
        let content_type = content_type
            .or_else(|| self.table.get(body).ok().and_then(|body| body.content_type().map(str::to_owned)))
            .unwrap_or_else(|| "application/octet-stream".to_owned());
        let broken = |error: std::io::Error| HttpError {
            code: "limit-reached".to_owned(),
            message: error.to_string(),
        };
        let mut writer = match blocking(move || store.create(&content_type)).await {
            Ok(writer) => writer,
            Err(error) => return Ok(Err(broken(error))),
        };
        loop {
            match self.table.get_mut(body)?.read(READ_BYTES).await {
                Ok(Some(chunk)) => {
                    if let Err(budget) = self.count_blob_bytes(chunk.len() as u64) {
                        return Ok(Err(HttpError { code: "limit-reached".to_owned(), message: budget }));
                    }
                    writer = match blocking(move || writer.append(&chunk).map(|()| writer)).await {
                        Ok(writer) => writer,
                        Err(error) => return Ok(Err(broken(error))),
                    };
                }
                Ok(None) => return Ok(blocking(move || writer.finish()).await.map_err(broken)),
                Err(error) => return Ok(Err(self.http_error(&error))),
            }
        }
    }
}

/// A name or file name in a `content-disposition`, escaped as browsers do (WHATWG HTML, multipart form data).
fn quoted(text: &str) -> Result<String, HttpError> {
    if text.len() > 512 {
        return Err(invalid("a part's name has 512 bytes at most"));
    }
    Ok(text.replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22"))
}

impl Host for CallState {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, HttpError>> {
        self.count_host_call()?;
        Ok(self.send_request(request).await)
    }
}

impl HostIncomingBody for CallState {
    async fn read(
        &mut self,
        body: Resource<IncomingBody>,
        max: u32,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, HttpError>> {
        self.count_host_call()?;
        let max = (max as usize).min(self.shared.profile.host_call_bytes);
        Ok(match self.table.get_mut(&body)?.read(max).await {
            Ok(Some(chunk)) => self.count_response_bytes(chunk.len()).map(|()| Some(chunk.to_vec())),
            Ok(None) => Ok(None),
            Err(error) => Err(self.http_error(&error)),
        })
    }

    async fn read_all(
        &mut self,
        body: Resource<IncomingBody>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, HttpError>> {
        self.count_host_call()?;
        let promised = self.table.get(&body)?.promised_length().unwrap_or(0);
        if promised > u64::from(max) {
            return Ok(Err(self.http_error(&EgressError::TooLarge(max.into()))));
        }
        let mut all = BytesMut::new();
        loop {
            match self.table.get_mut(&body)?.read(READ_BYTES).await {
                Ok(Some(chunk)) => {
                    if let Err(error) = self.count_response_bytes(chunk.len()) {
                        return Ok(Err(error));
                    }
                    if all.len() + chunk.len() > max as usize {
                        return Ok(Err(self.http_error(&EgressError::TooLarge(max.into()))));
                    }
                    all.extend_from_slice(&chunk);
                }
                Ok(None) => return Ok(Ok(all.into())),
                Err(error) => return Ok(Err(self.http_error(&error))),
            }
        }
    }

    async fn save(
        &mut self,
        body: Resource<IncomingBody>,
        content_type: Option<String>,
    ) -> wasmtime::Result<Result<Resource<Blob>, HttpError>> {
        self.count_host_call()?;
        match self.save_body(&body, content_type).await? {
            Ok(blob) => Ok(Ok(self.push(blob)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn drop(&mut self, body: Resource<IncomingBody>) -> wasmtime::Result<()> {
        self.table.delete(body)?;
        Ok(())
    }
}
