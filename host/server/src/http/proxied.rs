//! Requests that come through proxies: whose they are, and how many one client has under way. A proxy's connections are not bounded
//! for its address, so what they bring is bounded for each client's.

mod forwarded;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use atelier_service::callbacks::Network;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::{ApiError, gate};
use crate::app::App;
use crate::listener::{Peer, Place, Places};

/// Which header the operator's proxies write. A proxy passes on what it does not know, so that the other one is its client's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    #[default]
    For,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The operator's proxies.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    pub networks: Arc<[Network]>,
    pub header: ForwardedHeader,
}

impl Proxies {
    /// Whether what comes from there is believed.
    pub fn trust(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

#[derive(Clone)]
struct Door {
    app: Arc<App>,
    clients: Arc<Places>,
}

/// The router behind proxies, if there are any.
pub(super) fn behind(router: Router, app: &Arc<App>) -> Router {
    let server = &app.config.server;
    if server.proxies.networks.is_empty() {
        return router;
    }
    let clients = Places::new(server.connections_per_address_max);
    router.layer(from_fn_with_state(Door { app: app.clone(), clients }, pass))
}

async fn pass(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let proxies = &door.app.config.server.proxies;
    let Some(peer) = request.extensions().get::<Peer>().copied() else { return next.run(request).await };
    let client = match forwarded::client(peer.0, request.headers(), proxies) {
        Ok(None) => return next.run(request).await,
        Ok(Some(client)) => client,
        Err(malformed) => return gate::refuse(&door.app, &request, ApiError::Forwarded(malformed.0)),
    };
    let Some(place) = door.clients.take(client) else {
        return gate::refuse(&door.app, &request, ApiError::AddressBusy);
    };
    request.extensions_mut().insert(Peer(client));
    next.run(request).await.map(|inner| Body::new(Placed { inner, _place: place }))
}

/// An answer whose client has a place until it ends.
struct Placed {
    inner: Body,
    _place: Place,
}

impl HttpBody for Placed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().inner).poll_frame(context)
    }
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
