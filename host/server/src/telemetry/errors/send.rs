//! The task that sends reports, one in each envelope.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::time::{Clock as _, SystemClock};
use atelier_runtime::egress::{Egress, Grants, OutgoingBody, OutgoingRequest, Secrets};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::envelope::{SDK, envelope};
use super::{ErrorQueue, ErrorReport, limits};
use crate::config::Errors;

/// How often a report is tried that could not be told. One that was refused is not tried again.
const ATTEMPTS_MAX: u32 = 3;
/// After the first failure; twice as long after the next.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of an answer that are read, so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const SENTRY_AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");

/// Sends what is in a queue.
#[derive(Debug)]
pub(crate) struct Reporter {
    queue: Arc<ErrorQueue>,
    egress: Egress,
    config: Errors,
    grants: Grants,
    headers: HeaderMap,
    /// What is being sent, until it is known what became of it.
    current: Option<ErrorReport>,
    /// The receiver takes nothing before.
    paused_until: Option<Instant>,
    /// The receiver does not take reports, and that was said.
    is_failing: bool,
}

/// Why a report was not taken.
#[derive(Debug)]
struct Failure {
    why: String,
    /// Another attempt may do better: the receiver knows by the report's id whether it had it already.
    is_passing: bool,
}

impl Reporter {
    /// Sends to the configured receiver.
    pub(crate) fn new(queue: Arc<ErrorQueue>, egress: Egress) -> Self {
        let config = queue.config.clone();
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-sentry-envelope"));
        let client = concat!("/", env!("CARGO_PKG_VERSION"));
        let auth = format!(
            "Sentry sentry_version=7, sentry_client={SDK}{client}, sentry_key={}",
            config.key.reveal()
        );
        // The configuration has looked at the key.
        if let Ok(mut auth) = HeaderValue::from_str(&auth) {
            auth.set_sensitive(true);
            headers.insert(SENTRY_AUTH, auth);
        }
        // The operator named it: it may be on this machine, and without TLS.
        let grants = Grants::new(Vec::new(), vec![config.host.clone()]);
        Self { queue, egress, config, grants, headers, current: None, paused_until: None, is_failing: false }
    }

    /// Sends until it is told until when it may go on; then what is left, once.
    pub(crate) async fn run(mut self, mut stopped: watch::Receiver<Option<Instant>>) {
        let until = tokio::select! {
            () = self.report() => None,
            until = stopped.wait_for(Option::is_some) => until.ok().and_then(|until| *until),
        };
        let is_done = match until {
            Some(until) => timeout_at(until, self.flush()).await.unwrap_or(false),
            None => self.flush().await,
        };
        if !is_done {
            let unsent = u64::from(self.current.is_some()) + self.queue.lock().reports.len() as u64;
            self.queue.counts.failed.inc_by(unsent);
            tracing::warn!(reports = unsent, "reports of errors were not sent before the end");
        }
    }

    async fn report(&mut self) {
        loop {
            while self.next() {
                self.deliver().await;
            }
            self.queue.ready.notified().await;
        }
    }

    /// Takes the next report; `false` if there is none. Those of a time in which the receiver takes none are for nobody.
    fn next(&mut self) -> bool {
        while self.current.is_none() {
            let Some(report) = self.queue.take() else { return false };
            if self.paused_until.is_some_and(|until| Instant::now() < until) {
                self.queue.counts.refused.inc();
            } else {
                self.current = Some(report);
            }
        }
        true
    }

    /// Tries a report until it is taken, refused or given up.
    async fn deliver(&mut self) {
        for attempt in 1.. {
            let Err(failure) = self.send().await else { return };
            if !failure.is_passing {
                return;
            }
            if attempt >= ATTEMPTS_MAX {
                self.current = None;
                self.queue.counts.failed.inc();
                return;
            }
            sleep(PAUSE * 2u32.pow(attempt - 1)).await;
        }
    }

    /// Sends everything; `false` at the first that cannot be told.
    async fn flush(&mut self) -> bool {
        while self.next() {
            if self.send().await.is_err_and(|failure| failure.is_passing) {
                return false;
            }
        }
        true
    }

    /// Sends the report once, and says in the log what is news.
    async fn send(&mut self) -> Result<(), Failure> {
        let Some(report) = &self.current else { return Ok(()) };
        let limit = self.config.timeout;
        let outcome = timeout(limit, self.post(report)).await.unwrap_or_else(|_| {
            Err((Failure { why: format!("no answer within {} s", limit.as_secs()), is_passing: true }, None))
        });
        let (outcome, pause) = match outcome {
            Ok(pause) => (Ok(()), pause),
            Err((failure, pause)) => (Err(failure), pause),
        };
        if let Some(pause) = pause {
            self.paused_until = Some(Instant::now() + pause);
            tracing::warn!(seconds = pause.as_secs(), "the receiver of error reports takes none for a while");
        }
        match &outcome {
            Ok(()) => {
                self.current = None;
                self.queue.counts.reported.inc();
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the receiver of error reports takes them again");
                }
            }
            Err(Failure { why, is_passing }) => {
                if !is_passing {
                    self.current = None;
                    self.queue.counts.refused.inc();
                }
                // Of a limit it was just told.
                if pause.is_none() && !std::mem::replace(&mut self.is_failing, true) {
                    let host = self.config.endpoint.host_str();
                    tracing::error!(why, host, "the receiver of error reports does not take them");
                }
            }
        }
        outcome
    }

    /// For how long it takes no more, whether it took this one or not.
    async fn post(&self, report: &ErrorReport) -> Result<Option<Duration>, (Failure, Option<Duration>)> {
        let now = SystemClock::default().now();
        let request = OutgoingRequest {
            method: Method::POST,
            url: self.config.endpoint.clone(),
            headers: self.headers.clone(),
            body: OutgoingBody::full(envelope(report, &self.config, now).into()),
            request_id: None,
            depth: 0,
            trace: None,
        };
        let sent = self.egress.send(request, &self.grants, &Secrets::default()).await;
        let mut received =
            sent.map_err(|error| (Failure { why: error.code().to_owned(), is_passing: true }, None))?;
        let status = received.status;
        let pause = limits::pause(status, &received.headers, now);
        let mut length = 0;
        // The status is the answer: a body that breaks off changes nothing.
        while length < ANSWER_BYTES_MAX {
            match received.body.read(ANSWER_BYTES_MAX - length).await {
                Ok(Some(piece)) => length += piece.len(),
                Ok(None) | Err(_) => break,
            }
        }
        if status.is_success() {
            return Ok(pause);
        }
        let is_passing = matches!(
            status,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        );
        // Before a limit is over, another attempt is none.
        let is_passing = is_passing && pause.is_none();
        Err((Failure { why: format!("it answered {}", status.as_u16()), is_passing }, pause))
    }
}
