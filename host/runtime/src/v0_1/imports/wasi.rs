//! An empty world for components made by Python's and JavaScript's toolchains: no files, no sockets, no environment; output
//! goes to the plugin's bounded log, and `wasi:http` leaves through the same egress as everybody else's requests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atelier_domain::failure::{Limit, ProviderError};
use atelier_domain::provider::CallContext;
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Limited, StreamBody};
use url::Url;
use wasmtime::component::Linker;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::egress::{EgressError, IncomingBody, OutgoingBody, OutgoingRequest};
use crate::host_state::{CallState, Shared};
use crate::limits::limit_error;
use crate::traffic::Traffic;

/// The WASI side of one call.
pub struct Wasi {
    ctx: WasiCtx,
    http: WasiHttpCtx,
    door: Door,
    output: MemoryOutputPipe,
}

impl Wasi {
    /// A fresh, empty world.
    pub fn new(shared: &Arc<Shared>, context: &CallContext, traffic: Arc<Traffic>) -> Self {
        let output = MemoryOutputPipe::new(shared.profile.log_bytes);
        let ctx = WasiCtxBuilder::new()
            .stdout(output.clone())
            .stderr(output.clone())
            .wall_clock(HostClock(Arc::clone(shared)))
            .monotonic_clock(HostClock(Arc::clone(shared)))
            .allow_tcp(false)
            .allow_udp(false)
            .build();
        let (shared, context) = (Arc::clone(shared), context.clone());
        let door = Door { shared, context, traffic, refusal: Arc::default() };
        Self { ctx, http: WasiHttpCtx::new(), door, output }
    }

    /// What the guest printed.
    pub fn output(&self) -> Bytes {
        self.output.contents()
    }

    /// What the egress refused.
    pub fn take_refusal(&self) -> Option<ProviderError> {
        self.door.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The host's clock, which tests can set.
struct HostClock(Arc<Shared>);

impl HostWallClock for HostClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.clock.now().0)
    }
}

impl HostMonotonicClock for HostClock {
    fn resolution(&self) -> u64 {
        1_000_000
    }
    fn now(&self) -> u64 {
        self.0.clock.monotonic_ms().saturating_mul(1_000_000)
    }
}

/// Links WASI 0.2 and `wasi:http`.
///
/// # Errors
/// Two definitions collide: a mistake of ours.
pub fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

impl CallState {
    fn wasi(&mut self) -> (&mut Wasi, &mut wasmtime::component::ResourceTable) {
        let wasi = self.wasi.get_or_insert_with(|| {
            Box::new(Wasi::new(&self.shared, &self.context, Arc::clone(&self.traffic)))
        });
        (wasi, &mut self.table)
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (wasi, table) = self.wasi();
        WasiCtxView { ctx: &mut wasi.ctx, table }
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let (wasi, table) = self.wasi();
        WasiHttpCtxView { hooks: &mut wasi.door, table, ctx: &mut wasi.http }
    }
}

/// `wasi:http`'s way to the egress.
#[derive(Clone)]
struct Door {
    shared: Arc<Shared>,
    context: CallContext,
    traffic: Arc<Traffic>,
    refusal: Arc<Mutex<Option<ProviderError>>>,
}

type Sent =
    wasmtime_wasi_http::Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>)>;

impl WasiHttpHooks for Door {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        _options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let door = self.clone();
        Box::new(async move {
            let response = door.pass(request).await?;
            Ok((response, Box::new(async { Ok(()) }) as Box<dyn Future<Output = Result<(), Error>> + Send>))
        })
    }
}

impl Door {
    async fn pass(self, request: Request<WasiBody>) -> Result<Response<WasiBody>, Error> {
        let open = self
            .traffic
            .begin(&self.shared.profile)
            .map_err(|budget| self.refuse(limit_error(&self.shared.name, Limit::OpenRequests, budget)))?;
        let (mut head, body) = request.into_parts();
        let url = Url::parse(&head.uri.to_string()).map_err(|_| Error::HttpRequestUriInvalid)?;
        let max = self.shared.profile.host_call_bytes;
        let body = Limited::new(body, max)
            .collect()
            .await
            .map_err(|_| Error::HttpRequestBodySize(Some(max as u64)))?
            .to_bytes();
        for name in [
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            "accept-encoding",
            "cookie",
            "via",
            "traceparent",
            "tracestate",
        ] {
            head.headers.remove(name);
        }
        if let Some(name) = head.headers.keys().find(|name| self.shared.secrets.owns_header(name)) {
            return Err(self.refuse(ProviderError::Forbidden {
                instance: self.shared.name.clone(),
                what: format!("the header {name} carries a secret, which the host fills in"),
            }));
        }
        let outgoing = OutgoingRequest {
            method: head.method,
            url,
            headers: head.headers,
            body: OutgoingBody::full(body),
            request_id: HeaderValue::from_str(&self.context.request_id).ok(),
            depth: self.context.depth,
            trace: self.context.trace.clone(),
        };
        let Some(egress) = &self.shared.egress else { return Err(Error::HttpRequestDenied) };
        let mut received = egress
            .send(outgoing, &self.shared.grants, &self.shared.secrets)
            .await
            .map_err(|error| self.wasi_error(&error))?;
        self.traffic.answered(received.status.is_success(), &received.headers, self.shared.clock.now());
        received.body.keep(open);
        let mut response = Response::new(incoming(received.body, self.shared.profile.response_bytes));
        *response.status_mut() = received.status;
        *response.headers_mut() = received.headers;
        Ok(response)
    }

    fn refuse(&self, error: ProviderError) -> Error {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        Error::HttpRequestDenied
    }

    fn wasi_error(&self, error: &EgressError) -> Error {
        if let Some(refusal) = self.shared.refusal(error, &self.context.request_id) {
            return self.refuse(refusal);
        }
        match error {
            EgressError::Denied { .. }
            | EgressError::SecretMissing(_)
            | EgressError::SecretRefused { .. }
            | EgressError::TokenUnavailable { .. } => Error::HttpRequestDenied,
            EgressError::Invalid(_) | EgressError::TooLarge(_) => Error::HttpProtocolError,
            EgressError::Dns(_) => Error::DestinationNotFound,
            EgressError::Connect(_) => Error::ConnectionRefused,
            EgressError::Tls(_) => Error::TlsProtocolError,
            EgressError::Timeout { .. } => Error::HttpResponseTimeout,
            EgressError::Reset(_) => Error::ConnectionTerminated,
        }
    }
}

/// A response's body for the guest, bounded.
fn incoming(body: IncomingBody, bytes_max: u64) -> WasiBody {
    let frames = stream::unfold((Some(body), 0u64), move |(body, read)| async move {
        let mut body = body?;
        match body.read(64 * 1024).await {
            Ok(Some(chunk)) => {
                let read = read + chunk.len() as u64;
                if read > bytes_max {
                    return Some((Err(Error::HttpResponseBodySize(Some(bytes_max))), (None, read)));
                }
                Some((Ok(Frame::data(chunk)), (Some(body), read)))
            }
            Ok(None) => None,
            Err(_) => Some((Err(Error::ConnectionTerminated), (None, read))),
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use std::io;

    use atelier_domain::blob::{Blob, BlobId, BlobStore, BlobWriter};
    use atelier_domain::time::{SystemClock, Timestamp};
    use http_body_util::Empty;

    use super::*;
    use crate::egress::{Grants, Secrets};
    use crate::limits::Profile;
    use crate::v0_1::imports::cache::InstanceCache;
    use crate::v0_1::imports::quota::QuotaReport;
    use crate::v0_1::imports::random::Randomness;

    #[derive(Debug)]
    struct NoBlobs;

    impl BlobStore for NoBlobs {
        fn create(&self, _: &str) -> io::Result<Box<dyn BlobWriter>> {
            Err(io::Error::other("no blobs here"))
        }
        fn open(&self, _: &BlobId, _: &str) -> io::Result<Option<Blob>> {
            Ok(None)
        }
        fn claim(&self, _: &BlobId, _: &str) -> io::Result<Option<Blob>> {
            Ok(None)
        }
        fn ids(&self, _: Option<BlobId>, _: usize) -> io::Result<Vec<BlobId>> {
            Ok(Vec::new())
        }
        fn remove_unused(
            &self,
            _: &BlobId,
            _: Timestamp,
            _: &dyn Fn() -> io::Result<bool>,
        ) -> io::Result<bool> {
            Ok(false)
        }
    }

    fn shared(requests: u32) -> Arc<Shared> {
        let profile = Profile {
            memory_bytes: 1,
            table_elements: 1,
            stack_bytes: 1,
            cpu: Duration::from_secs(1),
            wall: Duration::from_secs(1),
            response_bytes: 1,
            blob_bytes: 1,
            log_bytes: 1,
            open_requests: 4,
            requests,
            handles: 1,
            host_call_bytes: 1,
            host_calls: 1,
            concurrent_calls: 1,
            slow_lane_calls: 1,
            slow_lane_threads: 1,
            cache_bytes: 1,
        };
        Arc::new(Shared {
            name: "test".to_owned(),
            plugin: "dev/test".to_owned(),
            base_url: String::new(),
            settings: "{}".to_owned(),
            grants: Grants::default(),
            secrets: Secrets::default(),
            profile,
            egress: None,
            blobs: Arc::new(NoBlobs),
            cache: InstanceCache::new(0),
            clock: Arc::new(SystemClock::default()),
            randomness: Randomness::System,
            quota: QuotaReport::default(),
            observer: Arc::new(crate::call::NoObserver),
        })
    }

    fn context() -> CallContext {
        CallContext::of_host("test", Duration::from_secs(1))
    }

    async fn send(door: &Door) -> Option<ProviderError> {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let mut request = Request::new(body);
        *request.uri_mut() = http::Uri::from_static("https://example.com/");
        assert!(door.clone().pass(request).await.is_err(), "there is no way out of this test");
        door.refusal.lock().expect("no panic").take()
    }

    #[tokio::test]
    async fn requests_by_wasi_count_against_the_limit_of_all_requests() {
        let (shared, traffic) = (shared(3), Arc::new(Traffic::default()));
        // One by the contract's own `http`.
        drop(traffic.begin(&shared.profile).expect("the first of three"));
        let door = Door { shared, context: context(), traffic, refusal: Arc::default() };
        assert!(send(&door).await.is_none());
        assert!(send(&door).await.is_none());
        let refused = send(&door).await;
        assert!(
            matches!(&refused, Some(ProviderError::LimitReached { limit: Limit::OpenRequests, budget, .. }) if budget == "3 in all"),
            "{refused:?}"
        );
    }
}
