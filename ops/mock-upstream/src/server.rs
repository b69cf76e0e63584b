//! The listener, and the handle that tests hold.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};

use crate::chaos::Chaos;
use crate::config::Config;
use crate::connection::{ResetSwitch, Wire};
use crate::fault::Fault;
use crate::journal::{Charges, Ending, Journal, RecordedRequest, RecordedWebhook};
use crate::reply::Reply;
use crate::shelf::Shelf;
use crate::{anthropic, elevenlabs, gate, gemini, ollama, openai, replicate};

/// Largest request head accepted, in bytes; heads are remembered whole.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Why a mock upstream did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address could not be bound.
    #[error("cannot listen on {address}: {source}; choose a free port, or port 0 for any")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The webhook secret is not `whsec_` followed by base64.
    #[error("the webhook secret is not `whsec_` followed by base64: {0}")]
    WebhookSecret(String),
}

/// What was waited for did not happen in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{awaited} did not happen within {within_ms} ms; this server saw: {seen}")]
pub struct WaitError {
    /// What was awaited.
    pub awaited: &'static str,
    /// How long the wait was, in milliseconds.
    pub within_ms: u64,
    /// The requests recorded until then, one `METHOD path -> ending` each.
    pub seen: String,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub config: Config,
    pub url: String,
    pub journal: Arc<Journal>,
    pub openai: openai::Shelves,
    pub replicate: replicate::Shelves,
    pub gemini: gemini::Shelves,
    pub webhooks: replicate::webhook::Sender,
    /// Answers to charged requests by their idempotency keys.
    pub answered: Shelf<Reply>,
    due: Mutex<Option<(Fault, u64)>>,
    /// Faults at random, where they are wanted.
    pub chaos: Option<Chaos>,
}

impl Shared {
    /// The fault that [`MockUpstream::fault_next`] left for this request.
    pub fn due_fault(&self) -> Option<Fault> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let (fault, times) = due.as_mut()?;
        let fault = fault.clone();
        *times -= 1;
        if *times == 0 {
            *due = None;
        }
        Some(fault)
    }

    pub fn set_due(&self, fault: Fault, times: u64) {
        let due = (times > 0).then_some((fault, times));
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = due;
    }

    /// Back to the state just after the start.
    pub fn reset(&self) {
        self.journal.reset();
        self.openai.clear();
        self.replicate.clear();
        self.gemini.clear();
        self.answered.clear();
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A running mock upstream. It stops, with all its connections, when dropped.
#[derive(Debug)]
pub struct MockUpstream {
    shared: Arc<Shared>,
    address: SocketAddr,
    listening: JoinHandle<()>,
}

impl MockUpstream {
    /// Listen, and serve until the handle is dropped.
    ///
    /// # Errors
    /// The address is taken or not this machine's, or the webhook secret is malformed.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let journal = Journal::new(config.recorded_requests_max, config.recorded_body_bytes_max);
        let webhooks = replicate::webhook::Sender::new(&config.webhook_secret, Arc::clone(&journal))
            .map_err(|broken| StartError::WebhookSecret(broken.to_string()))?;
        let shared = Arc::new(Shared {
            url: format!("http://{address}"),
            journal,
            openai: openai::Shelves::default(),
            replicate: replicate::Shelves::default(),
            gemini: gemini::Shelves::default(),
            webhooks,
            answered: Shelf::default(),
            due: Mutex::new(None),
            chaos: config.chaos.map(Chaos::new),
            config,
        });
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Ok(Self { shared, address, listening })
    }

    /// The server's root, `http://127.0.0.1:PORT`, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The recent requests, oldest first.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.journal.requests()
    }

    /// The webhooks sent, oldest first.
    pub fn webhooks(&self) -> Vec<RecordedWebhook> {
        self.shared.journal.webhooks()
    }

    /// What a provider would have charged for since the start or the last reset.
    pub fn charges(&self) -> Charges {
        self.shared.journal.charges()
    }

    /// How many streamed answers have not ended.
    pub fn open_streams(&self) -> usize {
        self.shared.journal.open_streams()
    }

    /// Give the next `times` requests that name no fault themselves this one.
    pub fn fault_next(&self, fault: impl Into<Fault>, times: u64) {
        self.shared.set_due(fault.into(), times);
    }

    /// Forget requests, charges, jobs and pending faults.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Wait until so many requests have arrived, and return them all.
    ///
    /// # Errors
    /// Fewer arrived in time.
    pub async fn wait_for_requests(
        &self,
        count: usize,
        within: Duration,
    ) -> Result<Vec<RecordedRequest>, WaitError> {
        let found = |journal: &Journal| Some(journal.requests()).filter(|seen| seen.len() >= count);
        self.wait("the expected number of requests", within, found).await
    }

    /// Wait until a client has left before its answer was complete, and return that request.
    ///
    /// # Errors
    /// No client left in time.
    pub async fn wait_for_disconnect(&self, within: Duration) -> Result<RecordedRequest, WaitError> {
        let left = |request: &RecordedRequest| request.ending == Ending::ClientLeft;
        self.wait("a client's disconnect", within, |journal| journal.requests().into_iter().find(left)).await
    }

    /// Wait until exactly so many streamed answers are open.
    ///
    /// # Errors
    /// The count did not come about in time.
    pub async fn wait_for_open_streams(&self, count: usize, within: Duration) -> Result<(), WaitError> {
        let found = |journal: &Journal| (journal.open_streams() == count).then_some(());
        self.wait("the expected number of open streams", within, found).await
    }

    /// Wait until so many webhooks were sent or given up, and return them all.
    ///
    /// # Errors
    /// Fewer were in time.
    pub async fn wait_for_webhooks(
        &self,
        count: usize,
        within: Duration,
    ) -> Result<Vec<RecordedWebhook>, WaitError> {
        let found = |journal: &Journal| Some(journal.webhooks()).filter(|sent| sent.len() >= count);
        self.wait("the expected number of webhooks", within, found).await
    }

    async fn wait<T>(
        &self,
        awaited: &'static str,
        within: Duration,
        found: impl FnMut(&Journal) -> Option<T>,
    ) -> Result<T, WaitError> {
        self.shared.journal.wait(within, found).await.ok_or_else(|| {
            let line = |seen: &RecordedRequest| format!("{} {} -> {:?}", seen.method, seen.path, seen.ending);
            let seen = self.requests().iter().map(line).collect::<Vec<_>>().join(", ");
            WaitError { awaited, within_ms: within.as_millis() as u64, seen }
        })
    }
}

impl Drop for MockUpstream {
    fn drop(&mut self) {
        // The listening task owns the connections: they end with it.
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let router = routes(&shared);
    let free = Arc::new(Semaphore::new(shared.config.connections_max));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(converse(stream, Arc::clone(&shared), router.clone(), permit));
            }
            // Out of descriptors, or the client gave up already: the next one may fare better.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

fn routes(shared: &Arc<Shared>) -> Router {
    Router::new()
        .merge(crate::media::routes())
        .merge(openai::routes())
        .nest("/openai", openai::routes())
        .merge(anthropic::routes())
        .nest("/anthropic", anthropic::routes().merge(anthropic::model_routes()))
        .merge(replicate::routes())
        .nest("/replicate", replicate::routes().merge(replicate::prefixed_routes()))
        .nest("/elevenlabs", elevenlabs::routes())
        .nest("/ollama", ollama::routes())
        .nest("/gemini", gemini::routes())
        .with_state(Arc::clone(shared))
}

async fn converse(stream: TcpStream, shared: Arc<Shared>, router: Router, _permit: OwnedSemaphorePermit) {
    if stream.set_nodelay(true).is_err() {
        return; // already gone
    }
    let reset = ResetSwitch::default();
    let io = TokioIo::new(Wire::new(stream, reset.clone()));
    let service =
        service_fn(move |request| gate::serve(Arc::clone(&shared), router.clone(), reset.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(io, service);
    // A connection's error is the client's doing or a fault's; the journal has it either way.
    connection.await.ok();
}
