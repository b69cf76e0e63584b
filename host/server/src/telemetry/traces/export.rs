//! The task that sends spans: OTLP over HTTP, in binary (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::time::{Clock as _, SystemClock};
use atelier_runtime::egress::{Egress, Grants, OutgoingBody, OutgoingRequest, Secrets};
use atelier_runtime::retry_after;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::SpanQueue;
use super::otlp::{self, Resource};
use crate::config::Traces;

/// How often a batch is tried.
const ATTEMPTS_MAX: u32 = 4;
/// After the first failure; twice as long after each further one.
const PAUSE: Duration = Duration::from_secs(1);
/// However long the collector asks to wait.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Sends what is in a queue.
#[derive(Debug)]
pub(crate) struct Exporter {
    queue: Arc<SpanQueue>,
    egress: Egress,
    config: Traces,
    grants: Grants,
    headers: HeaderMap,
    resource: Resource,
    /// What is being sent, until it is known what became of it.
    batch: Option<Batch>,
    /// The collector does not take spans, and that was said.
    is_failing: bool,
}

#[derive(Debug)]
struct Batch {
    body: Bytes,
    spans: u64,
}

/// Why a batch was not taken.
#[derive(Debug)]
struct Failure {
    why: String,
    /// Another attempt may do better.
    is_passing: bool,
    wait: Option<Duration>,
}

impl Exporter {
    /// Sends to a configured collector.
    pub(crate) fn new(config: Traces, queue: Arc<SpanQueue>, egress: Egress) -> Self {
        let mut headers = HeaderMap::with_capacity(config.headers.len() + 1);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        for (name, secret) in &config.headers {
            // The configuration has looked at them.
            if let Ok(mut value) = HeaderValue::from_str(secret.reveal()) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        // The operator named it: it may be on this machine, and without TLS.
        let grants = Grants::new(Vec::new(), vec![config.host.clone()]);
        let resource = otlp::resource(&config);
        Self { queue, egress, config, grants, headers, resource, batch: None, is_failing: false }
    }

    /// Sends until it is told until when it may go on; then what is left, once.
    pub(crate) async fn run(mut self, mut stopped: watch::Receiver<Option<Instant>>) {
        let until = tokio::select! {
            () = self.export() => None,
            until = stopped.wait_for(Option::is_some) => until.ok().and_then(|until| *until),
        };
        let is_done = match until {
            Some(until) => timeout_at(until, self.flush()).await.unwrap_or(false),
            None => self.flush().await,
        };
        if !is_done {
            let unsent = self.batch.take().map_or(0, |batch| batch.spans) + self.queue.lock().len() as u64;
            self.queue.counts.failed.inc_by(unsent);
            tracing::warn!(spans = unsent, "spans were not sent before the end");
        }
    }

    async fn export(&mut self) {
        loop {
            tokio::select! {
                () = sleep(self.config.every) => {}
                () = self.queue.ready.notified() => {}
            }
            while self.next() {
                self.deliver().await;
            }
        }
    }

    /// Makes the next batch; `false` if there is nothing to send.
    fn next(&mut self) -> bool {
        if self.batch.is_none() {
            let spans = self.queue.take();
            let count = spans.len() as u64;
            self.batch = (count > 0)
                .then(|| Batch { body: otlp::request(&self.resource, spans).into(), spans: count });
        }
        self.batch.is_some()
    }

    /// Tries a batch until it is taken or given up.
    async fn deliver(&mut self) {
        for attempt in 1.. {
            let Err(failure) = self.send().await else { return };
            if !failure.is_passing || attempt >= ATTEMPTS_MAX {
                let spans = self.batch.take().map_or(0, |batch| batch.spans);
                self.queue.counts.failed.inc_by(spans);
                return;
            }
            let pause = failure.wait.unwrap_or(PAUSE * 2u32.pow(attempt - 1));
            sleep(pause.min(PAUSE_MAX)).await;
        }
    }

    /// Sends everything; `false` at the first failure.
    async fn flush(&mut self) -> bool {
        while self.next() {
            if self.send().await.is_err() {
                return false;
            }
        }
        true
    }

    /// Sends the batch once, and says so where that is news.
    async fn send(&mut self) -> Result<(), Failure> {
        let Some(batch) = &self.batch else { return Ok(()) };
        let (body, spans) = (batch.body.clone(), batch.spans);
        let limit = self.config.timeout;
        let outcome = match timeout(limit, self.post(body)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure {
                why: format!("no answer within {} s", limit.as_secs()),
                is_passing: true,
                wait: None,
            }),
        };
        match outcome {
            Ok(rejected) => {
                self.batch = None;
                let rejected = rejected.min(spans);
                self.queue.counts.exported.inc_by(spans - rejected);
                self.queue.counts.rejected.inc_by(rejected);
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the collector of traces takes spans again");
                }
                Ok(())
            }
            Err(failure) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    let (why, host) = (&failure.why, self.config.endpoint.host_str());
                    tracing::error!(
                        why,
                        host,
                        "the collector of traces does not take spans; what is too much is dropped and counted"
                    );
                }
                Err(failure)
            }
        }
    }

    /// Spans that the collector took the trouble to refuse.
    async fn post(&self, body: Bytes) -> Result<u64, Failure> {
        let request = OutgoingRequest {
            method: Method::POST,
            url: self.config.endpoint.clone(),
            headers: self.headers.clone(),
            body: OutgoingBody::full(body),
            request_id: None,
            depth: 0,
            trace: None,
        };
        let sent = self.egress.send(request, &self.grants, &Secrets::default()).await;
        let mut received =
            sent.map_err(|error| Failure { why: error.code().to_owned(), is_passing: true, wait: None })?;
        let status = received.status;
        if !status.is_success() {
            // Those that the specification says may be tried again.
            let is_passing = matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            );
            let wait = retry_after(&received.headers, SystemClock::default().now());
            return Err(Failure { why: format!("it answered {}", status.as_u16()), is_passing, wait });
        }
        let mut answer = Vec::new();
        // The status is the answer: a body that breaks off changes nothing.
        while answer.len() < ANSWER_BYTES_MAX {
            match received.body.read(ANSWER_BYTES_MAX - answer.len()).await {
                Ok(Some(piece)) => answer.extend_from_slice(&piece),
                Ok(None) | Err(_) => break,
            }
        }
        Ok(otlp::rejected(&answer))
    }
}
