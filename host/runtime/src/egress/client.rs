//! Sends one request and gives its answer's head.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::egress::EgressDenial;
use atelier_domain::trace::Trace;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT, VIA};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use thread_local::ThreadLocal;
use url::Url;

use super::body::OutgoingBody;
use super::connector::{ConnectError, Connector};
use super::grants::{Grants, Reach};
use super::incoming::IncomingBody;
use super::scrub::Patterns;
use super::secrets::Secrets;
use super::traced;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("{host} may not be reached: {denial}")]
    Denied { host: String, denial: EgressDenial },
    #[error("the request is not possible: {0}")]
    Invalid(String),
    #[error("the secret {0} is not set")]
    SecretMissing(String),
    #[error("the secret {secret} cannot be used: {reason}")]
    SecretRefused { secret: String, reason: String },
    #[error("the secret {secret} gave no token: {reason}")]
    TokenUnavailable { secret: String, reason: String },
    #[error("{0}")]
    Dns(String),
    #[error("{0}")]
    Connect(String),
    #[error("no TLS session: {0}")]
    Tls(String),
    #[error("{what} took longer than {} ms", limit.as_millis())]
    Timeout { what: &'static str, limit: Duration },
    #[error("the connection broke: {0}")]
    Reset(String),
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
}

impl EgressError {
    /// Whether it is certain that nothing of the request has left: it was refused here, or there was no connection for it.
    pub fn is_before_sending(&self) -> bool {
        match self {
            EgressError::Denied { .. }
            | EgressError::SecretMissing(_)
            | EgressError::Dns(_)
            | EgressError::Connect(_) => true,
            // Some of these are met on the way back too, or with a request that is sent a second time.
            EgressError::Invalid(_)
            | EgressError::SecretRefused { .. }
            | EgressError::TokenUnavailable { .. }
            | EgressError::Tls(_)
            | EgressError::Timeout { .. }
            | EgressError::Reset(_)
            | EgressError::TooLarge(_) => false,
        }
    }

    /// The contract's word.
    pub fn code(&self) -> &'static str {
        match self {
            EgressError::Denied { .. } => "denied",
            EgressError::Invalid(_) => "invalid",
            EgressError::SecretMissing(_) => "secret-missing",
            EgressError::SecretRefused { .. } => "secret-refused",
            EgressError::TokenUnavailable { .. } => "token-unavailable",
            EgressError::Dns(_) => "dns",
            EgressError::Connect(_) => "connect",
            EgressError::Tls(_) => "tls",
            EgressError::Timeout { .. } => "timeout",
            EgressError::Reset(_) => "reset",
            EgressError::TooLarge(_) => "too-large",
        }
    }
}

/// A request before policy and secrets.
#[derive(Debug)]
pub struct OutgoingRequest {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: OutgoingBody,
    /// The caller's request id, passed on.
    pub request_id: Option<HeaderValue>,
    /// How often this chain of calls has passed through this host already.
    pub depth: u32,
    /// The span that it is a part of, where that is traced.
    pub trace: Option<Trace>,
}

impl OutgoingRequest {
    /// The same request, as long as nothing of it has been sent.
    pub(super) fn copy(&self) -> Self {
        Self {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: self.body.copy(),
            request_id: self.request_id.clone(),
            depth: self.depth,
            trace: self.trace.clone(),
        }
    }
}

/// The head of an answer, and its body to be read.
#[derive(Debug)]
pub struct Received {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: IncomingBody,
}

/// Time limits of the way out.
#[derive(Clone, Copy, Debug)]
pub struct EgressTimeouts {
    pub connect: Duration,
    pub first_byte: Duration,
    pub idle: Duration,
}

type HttpClient = Client<HttpsConnector<Connector>, OutgoingBody>;

/// Two pools of connections, since one that was dialed under a private grant must serve nobody else.
#[derive(Debug)]
struct Pools {
    public: HttpClient,
    private: HttpClient,
}

/// The way out. Each thread has pools of its own: a connection is driven by the runtime it was dialed on, and handing a request to
/// another thread and its answer back costs more than a connection.
#[derive(Clone, Debug)]
pub struct Egress {
    pools: Arc<ThreadLocal<Pools>>,
    /// One set of roots and one cache of sessions for all pools.
    tls: ClientConfig,
    timeouts: EgressTimeouts,
    via: HeaderValue,
}

impl Pools {
    fn new(tls: &ClientConfig, connect_max: Duration) -> Self {
        let client = |reach| {
            let https = HttpsConnectorBuilder::new()
                .with_tls_config(tls.clone())
                .https_or_http()
                .enable_http1()
                .enable_http2()
                .wrap_connector(Connector { reach, timeout: connect_max });
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(Duration::from_secs(60))
                .pool_max_idle_per_host(256)
                .build(https)
        };
        Self { public: client(Reach::Public), private: client(Reach::Private) }
    }
}

impl Egress {
    /// Opens the way out. `host_token` tells this host from others in `Via`.
    ///
    /// # Errors
    /// The token cannot stand in a header.
    pub fn new(host_token: &str, timeouts: EgressTimeouts) -> Result<Self, http::header::InvalidHeaderValue> {
        Ok(Self {
            pools: Arc::default(),
            tls: ClientConfig::builder().with_webpki_roots().with_no_client_auth(),
            timeouts,
            via: HeaderValue::from_str(&format!("1.1 {host_token}"))?,
        })
    }

    /// Checks, completes and sends a request; the answer's secrets are blanked out.
    ///
    /// # Errors
    /// Refused by the policy before anything is resolved, or failed on the way.
    pub async fn send(
        &self,
        mut request: OutgoingRequest,
        grants: &Grants,
        secrets: &Secrets,
    ) -> Result<Received, EgressError> {
        let reach = grants.check(&request.url).map_err(|denial| EgressError::Denied {
            host: request.url.host_str().unwrap_or_default().to_owned(),
            denial,
        })?;
        self.complete(&mut request);
        secrets.inject(&mut request.url, &mut request.headers).map_err(EgressError::SecretMissing)?;
        if secrets.signs() {
            return self.send_signed(request, reach, grants, secrets).await;
        }
        self.dispatch(request, reach, secrets.patterns()).await
    }

    /// Sends a request that is complete; `patterns` are blanked out of its answer.
    pub(super) async fn dispatch(
        &self,
        mut request: OutgoingRequest,
        reach: Reach,
        patterns: Arc<Patterns>,
    ) -> Result<Received, EgressError> {
        let Some(trace) = request.trace.take() else { return self.exchange(request, reach, patterns).await };
        let mut span = traced::begin(&trace, &mut request);
        let outcome = self.exchange(request, reach, patterns).await;
        traced::answered(&mut span, &outcome);
        outcome.map(|received| Received { body: received.body.traced(span), ..received })
    }

    async fn exchange(
        &self,
        request: OutgoingRequest,
        reach: Reach,
        patterns: Arc<Patterns>,
    ) -> Result<Received, EgressError> {
        let pools = self.pools.get_or(|| Pools::new(&self.tls, self.timeouts.connect));
        let client = match reach {
            Reach::Public => &pools.public,
            Reach::Private => &pools.private,
        };
        let sent = client.request(into_http(request)?);
        let response = tokio::time::timeout(self.timeouts.first_byte, sent)
            .await
            .map_err(|_| EgressError::Timeout { what: "the first byte", limit: self.timeouts.first_byte })?
            .map_err(|error| explain(&error))?;
        let (head, body) = response.into_parts();
        refuse_encoding(&head.headers)?;
        let headers = scrub_headers(head.headers, &patterns);
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = IncomingBody::new(body, patterns, content_type, self.timeouts.idle);
        Ok(Received { status: head.status, headers, body })
    }

    /// Its time limits.
    pub(super) fn timeouts(&self) -> EgressTimeouts {
        self.timeouts
    }

    fn complete(&self, request: &mut OutgoingRequest) {
        for _ in 0..=request.depth {
            request.headers.append(VIA, self.via.clone());
        }
        request
            .headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!("atelier/", env!("CARGO_PKG_VERSION"))));
        if let Some(id) = request.request_id.take() {
            request.headers.entry("x-request-id").or_insert(id);
        }
    }
}

fn into_http(request: OutgoingRequest) -> Result<Request<OutgoingBody>, EgressError> {
    let uri = uri_of(request.url)?;
    let mut http = Request::new(request.body);
    *http.method_mut() = request.method;
    *http.uri_mut() = uri;
    *http.headers_mut() = request.headers;
    Ok(http)
}

/// A URL as the client takes it.
pub(crate) fn uri_of(url: Url) -> Result<Uri, EgressError> {
    String::from(url).parse().map_err(|_| EgressError::Invalid("its URL cannot be sent".to_owned()))
}

/// An encoded answer could hide an echoed secret from the scrubber. None was asked for, so none should come.
fn refuse_encoding(headers: &HeaderMap) -> Result<(), EgressError> {
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => Err(EgressError::Invalid(
            "the answer came in a content encoding that was not asked for".to_owned(),
        )),
        _ => Ok(()),
    }
}

fn scrub_headers(mut headers: HeaderMap, patterns: &Patterns) -> HeaderMap {
    for value in headers.values_mut() {
        let blanked = value.to_str().ok().and_then(|text| patterns.blank_text(text));
        if let Some(blanked) = blanked.and_then(|text| HeaderValue::from_str(&text).ok()) {
            *value = blanked;
        }
    }
    headers
}

/// Finds the typed cause in the client's chain of errors.
fn explain(error: &ClientError) -> EgressError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut deepest = error.to_string();
    while let Some(source) = cause {
        if let Some(connect) = source.downcast_ref::<ConnectError>() {
            return match connect {
                ConnectError::Denied { host } => {
                    EgressError::Denied { host: host.clone(), denial: EgressDenial::SpecialAddress }
                }
                ConnectError::Dns { .. } => EgressError::Dns(connect.to_string()),
                ConnectError::Connect { .. } => EgressError::Connect(connect.to_string()),
                ConnectError::Timeout { seconds, .. } => {
                    EgressError::Timeout { what: "connecting", limit: Duration::from_secs(*seconds) }
                }
            };
        }
        if let Some(tls) = source.downcast_ref::<rustls::Error>() {
            return EgressError::Tls(tls.to_string());
        }
        if let Some(io) = source.downcast_ref::<std::io::Error>()
            && let Some(inner) = io.get_ref()
            && let Some(tls) = inner.downcast_ref::<rustls::Error>()
        {
            return EgressError::Tls(tls.to_string());
        }
        deepest = source.to_string();
        cause = source.source();
    }
    EgressError::Reset(deepest)
}
