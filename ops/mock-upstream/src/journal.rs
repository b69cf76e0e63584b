//! What this server was asked, how each answer ended, and what a provider would have charged for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;

use crate::answer::seed;

/// Most idempotency keys told apart; charges beyond them are still counted, as distinct ones.
const CHARGE_KEYS_MAX: usize = 65_536;
/// Longer idempotency keys are told apart by their hash.
const CHARGE_KEY_BYTES_MAX: usize = 255;
/// Most webhook deliveries remembered.
const WEBHOOKS_MAX: usize = 512;
/// Most spoilt requests remembered: the first ones.
const SPOILT_MAX: usize = 65_536;

/// How an answer ended, seen from this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It has not ended yet.
    Open,
    /// The whole answer was handed to the connection.
    Complete,
    /// The client went away before the answer was complete.
    ClientLeft,
    /// A fault cut the connection.
    Cut,
}

/// One request as it arrived, and what became of its answer.
#[derive(Debug, Clone, Serialize)]
pub struct RecordedRequest {
    /// Counts requests from 1 since the start or the last reset.
    pub id: u64,
    /// Arrival, in milliseconds since the Unix epoch.
    pub at_unix_ms: u64,
    /// The HTTP method.
    pub method: String,
    /// Path and query as sent.
    pub path: String,
    /// Header names (lower case) and values, in order; values outside UTF-8 are made readable.
    pub headers: Vec<(String, String)>,
    /// The body's first bytes as text, bounded by [`crate::Config::recorded_body_bytes_max`].
    pub body: String,
    /// The body's whole size, in bytes.
    pub body_bytes: usize,
    /// The status answered, once there is one.
    pub status: Option<u16>,
    /// The fault applied, in the words that ask for it.
    pub fault: Option<String>,
    /// How the answer ended.
    pub ending: Ending,
    /// From arrival to that end, in milliseconds.
    pub ended_after_ms: Option<u64>,
}

impl RecordedRequest {
    /// The first header with this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }
}

/// One webhook that was sent, or could not be.
#[derive(Debug, Clone, Serialize)]
pub struct RecordedWebhook {
    /// The `webhook-id` header; the same for every attempt at one delivery.
    pub id: String,
    /// Where it went.
    pub url: String,
    /// The event that caused it: `start`, `output`, `logs` or `completed`.
    pub event: String,
    /// The receiver's status, if it answered.
    pub status: Option<u16>,
    /// Why it was not delivered.
    pub error: Option<String>,
}

/// One line on the bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Charge {
    /// The number of the request that is charged for, as in [`RecordedRequest::id`].
    pub request: u64,
    /// Its path and query.
    pub path: String,
    /// Its `idempotency-key` header.
    pub key: Option<String>,
    /// Its `x-request-id` header.
    pub request_id: Option<String>,
}

/// A request that a fault befell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spoilt {
    /// Its path and query.
    pub path: String,
    /// Its `x-request-id` header.
    pub request_id: Option<String>,
    /// The fault, in the words that ask for it.
    pub fault: String,
}

/// What a provider would have put on the bill.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Charges {
    /// Accepted charging requests counted once per idempotency key; without a key each counts.
    pub distinct: u64,
    /// Accepted charging requests, repeats included.
    pub requests: u64,
    /// How often each idempotency key was accepted.
    pub by_key: HashMap<String, u64>,
    /// The first charges, one line for each of the distinct ones.
    pub lines: Vec<Charge>,
}

impl Charges {
    fn add(&mut self, charge: Charge) {
        if self.lines.len() < CHARGE_KEYS_MAX {
            self.lines.push(charge);
        }
    }
}

#[derive(Debug, Default)]
struct Pages {
    requests: VecDeque<RecordedRequest>,
    webhooks: VecDeque<RecordedWebhook>,
    charges: Charges,
    spoilt: Vec<Spoilt>,
    last_id: u64,
    reset_at_id: u64,
    open_streams: usize,
}

/// The shared record; a change wakes whoever waits for one.
#[derive(Debug)]
pub(crate) struct Journal {
    pages: Mutex<Pages>,
    changed: watch::Sender<u64>,
    requests_max: usize,
    body_bytes_max: usize,
}

impl Journal {
    pub fn new(requests_max: usize, body_bytes_max: usize) -> Arc<Self> {
        let (changed, _) = watch::channel(0);
        Arc::new(Self { pages: Mutex::default(), changed, requests_max: requests_max.max(1), body_bytes_max })
    }

    /// Note a request's arrival. The entry stays open until the returned [`Entry`] is closed or dropped.
    pub fn open(self: &Arc<Self>, method: &str, path: &str, headers: Vec<(String, String)>) -> Entry {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut pages = self.pages();
        pages.last_id += 1;
        let id = pages.last_id;
        if pages.requests.len() == self.requests_max {
            pages.requests.pop_front();
        }
        let request = RecordedRequest {
            id: id - pages.reset_at_id,
            at_unix_ms: at.as_millis() as u64,
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            body: String::new(),
            body_bytes: 0,
            status: None,
            fault: None,
            ending: Ending::Open,
            ended_after_ms: None,
        };
        pages.requests.push_back(request);
        drop(pages);
        self.wake();
        Entry { journal: Arc::clone(self), id, since: Instant::now(), streaming: false, closed: false }
    }

    pub fn charge(&self, charge: Charge) {
        let mut pages = self.pages();
        let charges = &mut pages.charges;
        charges.requests += 1;
        let Some(key) = charge.key.clone() else {
            charges.distinct += 1;
            charges.add(charge);
            return;
        };
        let key = key.as_str();
        let hashed = (key.len() > CHARGE_KEY_BYTES_MAX).then(|| format!("{:016x}", seed(key)));
        let key = hashed.as_deref().unwrap_or(key);
        if let Some(times) = charges.by_key.get_mut(key) {
            *times += 1;
            return;
        }
        charges.distinct += 1;
        charges.add(charge);
        if charges.by_key.len() < CHARGE_KEYS_MAX {
            charges.by_key.insert(key.to_owned(), 1);
        }
    }

    pub fn spoilt(&self, request: Spoilt) {
        let mut pages = self.pages();
        if pages.spoilt.len() < SPOILT_MAX {
            pages.spoilt.push(request);
        }
    }

    pub fn webhook(&self, delivery: RecordedWebhook) {
        let mut pages = self.pages();
        if pages.webhooks.len() == WEBHOOKS_MAX {
            pages.webhooks.pop_front();
        }
        pages.webhooks.push_back(delivery);
        drop(pages);
        self.wake();
    }

    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.pages().requests.iter().cloned().collect()
    }

    pub fn webhooks(&self) -> Vec<RecordedWebhook> {
        self.pages().webhooks.iter().cloned().collect()
    }

    pub fn all_spoilt(&self) -> Vec<Spoilt> {
        self.pages().spoilt.clone()
    }

    pub fn charges(&self) -> Charges {
        self.pages().charges.clone()
    }

    pub fn open_streams(&self) -> usize {
        self.pages().open_streams
    }

    /// Forget everything but the streams that are still open.
    pub fn reset(&self) {
        let mut pages = self.pages();
        pages.requests.clear();
        pages.webhooks.clear();
        pages.charges = Charges::default();
        pages.spoilt.clear();
        pages.reset_at_id = pages.last_id;
        drop(pages);
        self.wake();
    }

    /// Wait until `found` gives something, looking again after each change. `None` when `within` passes first.
    pub async fn wait<T>(&self, within: Duration, mut found: impl FnMut(&Self) -> Option<T>) -> Option<T> {
        let mut changes = self.changed.subscribe();
        let look = async {
            loop {
                changes.mark_unchanged();
                if let Some(thing) = found(self) {
                    return Some(thing);
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(within, look).await.ok().flatten()
    }

    fn wake(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // Each change under the lock is a whole one, so a panic elsewhere leaves nothing half-done.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request whose answer has not ended. Dropping it unclosed means that the client left.
#[derive(Debug)]
pub(crate) struct Entry {
    journal: Arc<Journal>,
    id: u64,
    since: Instant,
    streaming: bool,
    closed: bool,
}

impl Entry {
    /// The request's number since the last reset.
    pub fn number(&self) -> u64 {
        self.id.saturating_sub(self.journal.pages().reset_at_id)
    }

    pub fn body(&self, body: &Bytes) {
        let kept = &body[..body.len().min(self.journal.body_bytes_max)];
        let text = String::from_utf8_lossy(kept).into_owned();
        self.amend(|request| {
            request.body = text;
            request.body_bytes = body.len();
        });
    }

    pub fn fault(&self, fault: &str) {
        self.amend(|request| request.fault = Some(fault.to_owned()));
    }

    pub fn answered(&mut self, status: u16, streaming: bool) {
        self.streaming = streaming;
        if streaming {
            self.journal.pages().open_streams += 1;
        }
        self.amend(|request| request.status = Some(status));
        self.journal.wake();
    }

    pub fn close(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let after_ms = self.since.elapsed().as_millis() as u64;
        self.amend(|request| {
            request.ending = ending;
            request.ended_after_ms = Some(after_ms);
        });
        if self.streaming {
            self.journal.pages().open_streams -= 1;
        }
        self.journal.wake();
    }

    /// Change the recorded request, unless it was forgotten meanwhile.
    fn amend(&self, change: impl FnOnce(&mut RecordedRequest)) {
        let mut pages = self.journal.pages();
        let Some(number) = self.id.checked_sub(pages.reset_at_id).filter(|number| *number > 0) else {
            return;
        };
        if let Some(request) = pages.requests.iter_mut().rev().find(|request| request.id == number) {
            change(request);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.close(Ending::ClientLeft);
    }
}
