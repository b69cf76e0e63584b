//! Accepting connections: bounded, without Nagle's delay, drained under a deadline.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// How long a client may take to send a request's head.
const HEAD_MAX: Duration = Duration::from_secs(15);
const HEAD_BYTES_MAX: usize = 64 * 1024;
const STREAMS_MAX: u32 = 256;
/// A pause after the system refused a connection, so that a full file table does not make us spin.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until told to stop, then finishes what runs, within the deadline.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    drain_max: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .pipeline_flush(true);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    let builder = Arc::new(builder);
    let places = Arc::new(Semaphore::new(connections_max));
    let connections = GracefulShutdown::new();
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection left at once");
            continue;
        }
        let (builder, service) = (builder.clone(), TowerToHyperService::new(router.clone()));
        let watcher = connections.watcher();
        tokio::spawn(async move {
            let _place = place;
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(drain_max, connections.shutdown()).await.is_err() {
        tracing::warn!(after_s = drain_max.as_secs(), "requests were still running when the server stopped");
    }
}
