//! Accepting connections: bounded, without Nagle's delay, drained under a deadline.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use prometheus::IntGauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::workers::Workers;

const HEAD_BYTES_MAX: usize = 64 * 1024;
const STREAMS_MAX: u32 = 256;
/// A pause after the system refused a connection, so that a full file table does not make us spin.
const PAUSE: Duration = Duration::from_millis(50);

/// The address at the other end of a request's connection: that of a proxy, where there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub IpAddr);

/// What bounds a listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections open at once.
    pub connections_max: usize,
    /// How long a client may take to send a request's head.
    pub head_max: Duration,
    /// How long running requests may take to end when the server stops.
    pub drain_max: Duration,
}

/// Serves on the workers until told to stop, then finishes what runs, within the deadline. `open` counts the connections.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    workers: Arc<Workers>,
    bounds: Bounds,
    open: Option<IntGauge>,
    mut stop: watch::Receiver<bool>,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_max)
        .max_buf_size(HEAD_BYTES_MAX)
        .pipeline_flush(true);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    let builder = Arc::new(builder);
    let places = Arc::new(Semaphore::new(bounds.connections_max));
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
        let peer = stream.peer_addr().ok().map(|address| Peer(address.ip()));
        let service = FromPeer { router: TowerToHyperService::new(router.clone()), peer };
        let builder = builder.clone();
        let (watcher, open) = (connections.watcher(), open.clone());
        workers.spawn(async move {
            let _place = place;
            let _counted = open.map(Counted::new);
            // From here on the worker's own runtime watches the socket.
            let stream = match TcpStream::from_std(stream) {
                Ok(stream) => stream,
                Err(error) => return tracing::warn!(%error, "a connection could not be watched"),
            };
            let connection = builder.serve_connection(TokioIo::new(stream), service);
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

/// The router as one connection's requests reach it.
#[derive(Clone)]
struct FromPeer {
    router: TowerToHyperService<Router>,
    peer: Option<Peer>,
}

impl Service<Request<Incoming>> for FromPeer {
    type Response = Response;
    type Error = Infallible;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        self.router.call(request)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_accepted_connection_has_no_delay() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), accept(&listener));
        assert!(!client.expect("connected").nodelay().expect("read"), "the system's own default is to wait");
        assert!(accepted.expect("accepted").nodelay().expect("read"));
    }
}
