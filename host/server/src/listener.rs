//! Accepting connections: bounded, without Nagle's delay, given up when nobody is at their other end, drained under a deadline. TLS, where
//! there is one, lies between the socket and HTTP: all bounds hold with it as without.

mod places;
mod socket;
mod stream;
mod taken;
#[cfg(test)]
mod tests;
mod tls;

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Either};
use http::HeaderValue;
use http::header::STRICT_TRANSPORT_SECURITY;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use prometheus::{IntCounter, IntGauge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::http::proxied::Proxies;
use crate::workers::Workers;
use socket::Socket;
use stream::{Stream, Way};

pub(crate) use places::{Place, Places};
pub(crate) use tls::{Tls, TlsCounts, TlsFiles, TlsSetup};

const HEAD_BYTES_MAX: usize = 64 * 1024;
/// A pause after the system refused a connection, so that a full file table does not make us spin.
const PAUSE: Duration = Duration::from_millis(50);

/// Who sent a request: the address at the other end of its connection or, where that is a trusted proxy's, the one for which the proxy says
/// that it is (`http::proxied`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub IpAddr);

/// What bounds a listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections open at once.
    pub connections_max: usize,
    /// Of these from one address.
    pub connections_per_address_max: usize,
    /// Requests at once on one connection (HTTP/2).
    pub streams_max: u32,
    /// How long a client may take to send a request's head, to say at first what it speaks, and to answer a ping.
    pub head_max: Duration,
    /// How long a client may take nothing of what waits for it.
    pub stall_max: Duration,
    /// How often a client is asked whether it is there (HTTP/2).
    pub ping_every: Duration,
    /// How long running requests may take to end when the server stops.
    pub drain_max: Duration,
}

/// Where connections are counted.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    /// Those that are open.
    pub open: IntGauge,
    /// Those that were closed at once, since their address had too many.
    pub refused: IntCounter,
}

/// Where connections come in, and what serves them.
#[derive(Debug)]
pub(crate) struct Listener {
    pub socket: TcpListener,
    pub router: Router,
    pub workers: Arc<Workers>,
    pub bounds: Bounds,
    pub counts: Option<Counts>,
    pub tls: Option<Arc<Tls>>,
    /// Whose connections are not bounded for their address: they bring what many send.
    pub proxies: Proxies,
}

/// Serves on the workers until told to stop, then finishes what runs, within the deadline.
pub(crate) async fn serve(listener: Listener, mut stop: watch::Receiver<bool>) {
    let Listener { socket: listener, router, workers, bounds, counts, tls, proxies } = listener;
    let builder = Arc::new(builder(&bounds));
    let places = Arc::new(Semaphore::new(bounds.connections_max));
    let by_address = Places::new(bounds.connections_per_address_max);
    let transport_security = tls.as_ref().and_then(|tls| tls.transport_security());
    let connections = GracefulShutdown::new();
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // One that has gone already has no address.
        let Ok(address) = stream.peer_addr() else { continue };
        let is_proxy = proxies.trust(address.ip());
        let of_address = if is_proxy { None } else { by_address.take(address.ip()) };
        if of_address.is_none() && !is_proxy {
            tracing::debug!("a connection was closed at once: its address has too many");
            counts.iter().for_each(|counts| counts.refused.inc());
            continue;
        }
        let router = TowerToHyperService::new(router.clone());
        let service = FromPeer {
            router,
            peer: Peer(address.ip()),
            stall_max: bounds.stall_max,
            transport_security: transport_security.clone(),
        };
        let builder = builder.clone();
        let tls = tls.clone().map(|tls| (tls, stop.clone()));
        let (watcher, open) = (connections.watcher(), counts.as_ref().map(|counts| counts.open.clone()));
        workers.spawn(async move {
            let (_place, of_address) = (place, of_address);
            let _counted = open.map(Counted::new);
            // From here on the worker's own runtime watches the socket.
            let stream = match TcpStream::from_std(stream) {
                Ok(stream) => stream,
                Err(error) => return tracing::warn!(%error, "a connection could not be watched"),
            };
            let socket = Socket::new(stream, bounds.stall_max);
            let way = match tls {
                None => Way::Plain(socket),
                Some((tls, stop)) => {
                    let turns = of_address.as_ref().map(|place| place.turns(tls.turns_of_address()));
                    let Some(stream) = tls.agree(socket, turns, stop).await else { return };
                    Way::Tls(Box::new(stream))
                }
            };
            let connection = builder.serve_connection(Stream::new(way, bounds.head_max), service);
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(bounds.drain_max, connections.shutdown()).await.is_err() {
        tracing::warn!(
            after_s = bounds.drain_max.as_secs(),
            "requests were still running when the server stopped"
        );
    }
}

fn builder(bounds: &Bounds) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_max)
        // Not with `pipeline_flush`: it takes the bound off what is held of an answer that nobody reads.
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds.streams_max)
        .keep_alive_interval(bounds.ping_every)
        .keep_alive_timeout(bounds.head_max);
    builder
}

/// The router as one connection's requests reach it.
#[derive(Clone)]
struct FromPeer {
    router: TowerToHyperService<Router>,
    peer: Peer,
    stall_max: Duration,
    /// What answers over TLS say of it.
    transport_security: Option<HeaderValue>,
}

impl Service<Request<Incoming>> for FromPeer {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<
        <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future,
        BoxFuture<'static, Result<Response, Infallible>>,
    >;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        let is_many = request.version() == Version::HTTP_2;
        let answering = self.router.call(request);
        if !is_many && self.transport_security.is_none() {
            return Either::Left(answering);
        }
        let (stall_max, transport_security) = (self.stall_max, self.transport_security.clone());
        let sent = move |mut answer: Response| {
            if let Some(policy) = transport_security {
                answer.headers_mut().insert(STRICT_TRANSPORT_SECURITY, policy);
            }
            if is_many { taken::within(stall_max, answer) } else { answer }
        };
        Either::Right(answering.map(move |answer| answer.map(sent)).boxed())
    }
}

/// The next connection, which sends what it is given at once: an event of a stream must not wait for more.
async fn accept(listener: &TcpListener) -> io::Result<std::net::TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    stream.into_std()
}

/// A connection, counted while it is open.
struct Counted(IntGauge);

impl Counted {
    fn new(open: IntGauge) -> Self {
        open.inc();
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
