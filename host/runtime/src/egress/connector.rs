//! Resolves a host once, refuses addresses that the request may not reach, and dials exactly the ones left.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::address::is_special;
use super::grants::Reach;

/// Why a connection could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{host} has private or special addresses only, which needs a grant in private_hosts")]
    Denied { host: String },
    #[error("{host} cannot be resolved: {source}")]
    Dns { host: String, source: std::io::Error },
    #[error("{host} refused the connection: {source}")]
    Connect { host: String, source: std::io::Error },
    #[error("{host} did not accept a connection within {seconds} s")]
    Timeout { host: String, seconds: u64 },
}

/// Dials for one reach.
#[derive(Clone, Debug)]
pub struct Connector {
    pub reach: Reach,
    pub timeout: Duration,
}

impl Connector {
    async fn dial(self, uri: Uri) -> Result<TcpStream, ConnectError> {
        let (host, port) = destination(&uri);
        let timeout = self.timeout;
        let attempt = async {
            let addresses = resolve(&host, port).await?;
            let allowed: Vec<SocketAddr> = addresses
                .into_iter()
                .filter(|address| self.reach == Reach::Private || !is_special(address.ip()))
                .collect();
            if allowed.is_empty() {
                return Err(ConnectError::Denied { host: host.clone() });
            }
            let stream = TcpStream::connect(allowed.as_slice())
                .await
                .map_err(|source| ConnectError::Connect { host: host.clone(), source })?;
            stream
                .set_nodelay(true)
                .map_err(|source| ConnectError::Connect { host: host.clone(), source })?;
            Ok(stream)
        };
        tokio::time::timeout(timeout, attempt)
            .await
            .unwrap_or_else(|_| Err(ConnectError::Timeout { host: host.clone(), seconds: timeout.as_secs() }))
    }
}

/// The host and port that are dialed for a request.
pub(crate) fn destination(uri: &Uri) -> (String, u16) {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    (host, port)
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|source| ConnectError::Dns { host: host.to_owned(), source })?;
    Ok(found.take(16).collect())
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialed = self.clone().dial(uri);
        Box::pin(async { Ok(TokioIo::new(dialed.await?)) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    fn dial(address: SocketAddr, timeout: Duration) -> impl Future<Output = Result<TcpStream, ConnectError>> {
        let uri = format!("http://{address}").parse().expect("an address");
        Connector { reach: Reach::Private, timeout }.dial(uri)
    }

    #[tokio::test]
    async fn a_connection_to_a_provider_has_no_delay() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let stream = dial(address, Duration::from_secs(5)).await.expect("connected");
        assert!(stream.nodelay().expect("read"));
    }

    #[tokio::test]
    async fn a_name_that_leads_to_private_addresses_alone_is_refused_however_public_it_sounds() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        // The one name that leads home everywhere; what a name sounds like is looked at before, by the grants.
        let uri: Uri = format!("https://localhost:{port}").parse().expect("an address");
        let connector = |reach| Connector { reach, timeout: Duration::from_secs(5) };
        let refused = connector(Reach::Public).dial(uri.clone()).await;
        assert!(matches!(refused, Err(ConnectError::Denied { .. })), "{refused:?}");
        connector(Reach::Private).dial(uri).await.expect("there is somebody");
    }

    #[tokio::test]
    async fn a_provider_that_does_not_accept_is_given_up_in_time() {
        // A full queue: the system then drops what else wants to connect, as an unreachable host would.
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
        let listener = socket.listen(1).expect("listens");
        let address = listener.local_addr().expect("bound");
        let mut held = Vec::new();
        let limit = Duration::from_millis(300);
        for _ in 0..16 {
            let begun = Instant::now();
            match dial(address, limit).await {
                Ok(stream) => held.push(stream),
                Err(ConnectError::Timeout { .. }) => {
                    assert!(begun.elapsed() >= limit && begun.elapsed() < Duration::from_secs(5));
                    return;
                }
                Err(other) => panic!("{other}"),
            }
        }
        panic!("all {} connections were accepted", held.len());
    }
}
