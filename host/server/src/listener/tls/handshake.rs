//! The begin of a connection over TLS.

use std::io;
use std::sync::Arc;

use rustls::Error;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Tls;
use crate::listener::socket::Socket;

impl Tls {
    /// Agrees with a client, once it is the connection's turn. `None`: nothing came of it, which is counted, or the listener stops.
    pub(in crate::listener) async fn agree(
        &self,
        socket: Socket,
        turns_of_address: Option<Arc<Semaphore>>,
        mut stop: watch::Receiver<bool>,
    ) -> Option<TlsStream<Socket>> {
        let agreeing = async {
            // Neither is ever closed.
            let of_address = match &turns_of_address {
                Some(turns) => Some(turns.acquire().await),
                None => None,
            };
            let of_all = self.turns.acquire().await;
            let agreed = TlsAcceptor::from(self.current.load_full()).accept(socket).await;
            drop((of_address, of_all));
            agreed
        };
        let agreed = tokio::select! {
            agreed = tokio::time::timeout(self.setup.handshake_max, agreeing) => agreed,
            _ = stop.wait_for(|stop| *stop) => return None,
        };
        let reason = match agreed {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a handshake failed");
                reason(&error)
            }
            Err(_) => "timeout",
        };
        self.counts.failed.with_label_values(&[reason]).inc();
        None
    }

    /// Handshakes at once from one address.
    pub(in crate::listener) fn turns_of_address(&self) -> usize {
        self.setup.handshakes_per_address_max
    }
}

/// Why a handshake failed, as a word of the metrics.
fn reason(error: &io::Error) -> &'static str {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        None if error.kind() == io::ErrorKind::TimedOut => "timeout",
        None => "left",
        Some(Error::NoCertificatesPresented) => "no_client_certificate",
        Some(Error::InvalidCertificate(_)) => "bad_client_certificate",
        Some(Error::AlertReceived(_)) => "refused_by_client",
        Some(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => "nothing_in_common",
        Some(_) => "malformed",
    }
}
