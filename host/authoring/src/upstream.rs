//! The far end of the wire: replays recorded exchanges, misbehaves on request, or passes requests on and records them.

mod form;
mod play;
mod record;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use url::Url;

use crate::exchange::{Asked, Exchanges};
pub use play::Body;
pub use record::{Provider, Recorded};

/// The largest request body that is taken, in bytes.
const REQUEST_BYTES_MAX: usize = 64 << 20;
/// What the upstream asks a plugin to wait, in seconds, when its rate limit is reached.
pub const RETRY_AFTER_S: u64 = 7;

/// How the upstream misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not at all.
    None,
    /// Every request is refused with this status; 429 asks to wait for [`RETRY_AFTER_S`].
    Status(u16),
    /// The connection breaks half-way through each body.
    Cut,
    /// Each body comes in small pieces with pauses.
    Drip,
    /// Each body's JSON, or an event in its middle, does not parse.
    Malformed,
    /// Each body stops half-way, and the connection stays open.
    Stall,
    /// Every request is refused, with all of its own headers and its address in the error's text.
    Echo,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub method: String,
    /// Decoded path.
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
    /// Fields of a form that are no files.
    pub form: BTreeMap<String, String>,
    pub body: Bytes,
}

impl Arrived {
    async fn read(request: Request<Incoming>) -> Result<Self, String> {
        let (head, body) = request.into_parts();
        let url = Url::parse(&format!("http://upstream{}", head.uri)).map_err(|error| error.to_string())?;
        let query = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        let body = Limited::new(body, REQUEST_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| error.to_string())?
            .to_bytes();
        Ok(Self {
            method: head.method.to_string(),
            path: decoded(url.path()),
            query,
            form: form::fields(&head.headers, &body),
            headers: head.headers,
            body,
        })
    }

    /// As it is matched.
    pub fn asked(&self) -> Asked<'_> {
        let Self { method, path, query, form, body, .. } = self;
        Asked { method, path, query, form, body }
    }

    /// Everything that came but the body, as text.
    pub fn head(&self) -> String {
        let mut text = format!("{} {} {:?}", self.method, self.path, self.query);
        for (name, value) in &self.headers {
            text.push_str(&format!(" {name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
        text
    }
}

/// Percent-decoding (RFC 3986 §2.1); what is no UTF-8 then is replaced.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.filter(|_| byte == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &tail[2..];
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What an upstream has seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub arrived: Vec<Arrived>,
    /// Requests for which there is no exchange.
    pub unknown: Vec<String>,
    /// When a client last left before its answer's end.
    left: Option<Instant>,
    /// Whether an answer has begun to stall.
    stalled: bool,
    /// Whether [`Fault::Malformed`] found something that it could spoil: sound and pictures are bytes and no more.
    pub spoiled: bool,
}

#[derive(Debug)]
struct Inner {
    exchanges: Arc<Exchanges>,
    fault: Fault,
    url: String,
    seen: Mutex<Seen>,
    /// How often each exchange has answered.
    answered: Mutex<HashMap<usize, usize>>,
    changed: Notify,
    provider: Option<Provider>,
}

impl Inner {
    fn note<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        let outcome = change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_waiters();
        outcome
    }
}

/// A server on a loopback port of its own. Dropped, it ends with all its connections.
#[derive(Debug)]
pub struct Upstream {
    /// `host:port`
    pub address: String,
    inner: Arc<Inner>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    /// Replays `exchanges`, with a fault.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn replay(exchanges: Arc<Exchanges>, fault: Fault) -> anyhow::Result<Self> {
        Self::start(exchanges, fault, None).await
    }

    /// Passes everything on to a provider, and records it.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn record(provider: Provider) -> anyhow::Result<Self> {
        Self::start(Arc::default(), Fault::None, Some(provider)).await
    }

    async fn start(
        exchanges: Arc<Exchanges>,
        fault: Fault,
        provider: Option<Provider>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no loopback port for the upstream")?;
        let address = listener.local_addr()?.to_string();
        let url = format!("http://{address}");
        let inner = Arc::new(Inner {
            exchanges,
            fault,
            url,
            seen: Mutex::default(),
            answered: Mutex::default(),
            changed: Notify::new(),
            provider,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&inner)));
        Ok(Self { address, inner, _tasks: tasks })
    }

    /// Its address as a URL without a trailing slash.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// Looks at what it has seen.
    pub fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was recorded, secrets and addresses replaced.
    pub fn recorded(&self) -> Recorded {
        self.inner.provider.as_ref().map(|provider| provider.recorded(&self.inner.url)).unwrap_or_default()
    }

    /// Waits until an answer stalls; `false` if none does in time.
    pub async fn stalled(&self, patience: Duration) -> bool {
        self.wait(patience, |seen| seen.stalled.then_some(())).await.is_some()
    }

    /// Waits until a client has left before its answer's end, and says when.
    pub async fn client_left(&self, patience: Duration) -> Option<Instant> {
        self.wait(patience, |seen| seen.left).await
    }

    async fn wait<T>(&self, patience: Duration, look: impl Fn(&Seen) -> Option<T>) -> Option<T> {
        let waiting = async {
            loop {
                let changed = self.inner.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(found) = self.seen(&look) {
                    return found;
                }
                changed.await;
            }
        };
        tokio::time::timeout(patience, waiting).await.ok()
    }
}

async fn accept(listener: TcpListener, inner: Arc<Inner>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&inner)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, inner: Arc<Inner>) {
    // Small pieces are the point of a stream; where the option is refused they come later, and no more.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let inner = Arc::clone(&inner);
        async move { Ok::<_, Infallible>(answer(inner, request).await) }
    });
    // A client that leaves, and a body that breaks on purpose, are errors here and the point of a test there.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(inner: Arc<Inner>, request: Request<Incoming>) -> Response<Body> {
    let arrived = match Arrived::read(request).await {
        Ok(arrived) => arrived,
        Err(why) => return play::refusal(400, &why),
    };
    inner.note(|seen| seen.arrived.push(arrived.clone()));
    match &inner.provider {
        Some(provider) => provider.pass_on(&inner.url, arrived).await,
        None => play::answer(&inner, &arrived),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_decoded() {
        assert_eq!(decoded("/v1/models/a%2Fb%20c%"), "/v1/models/a/b c%");
    }
}
