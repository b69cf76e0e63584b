//! Webhooks, signed as Standard Webhooks prescribes
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{Method, Request, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, Mac};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use sha2::Sha256;

use crate::answer::seed;
use crate::journal::{Journal, RecordedWebhook};

/// Attempts at a `completed` event; the others get one, as in the real API.
const ATTEMPTS_MAX: u32 = 3;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What a webhook tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Start,
    Output,
    Logs,
    Completed,
}

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Output => "output",
            Self::Logs => "logs",
            Self::Completed => "completed",
        }
    }
}

/// Who wants to hear of a run, and of what.
#[derive(Debug)]
pub(super) struct Subscription {
    url: String,
    /// Absent: every event.
    filter: Option<Vec<String>>,
}

impl Subscription {
    /// The `webhook` and `webhook_events_filter` of a request.
    pub fn of(request: &Value) -> Option<Self> {
        let names = |list: &Vec<Value>| list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let filter = request["webhook_events_filter"].as_array().map(names);
        Some(Self { url: request["webhook"].as_str()?.to_owned(), filter })
    }

    /// Send `body` if the event is wanted.
    pub async fn send(&self, sender: &Sender, event: Event, body: &Value) {
        let wanted = |names: &Vec<String>| names.iter().any(|name| name == event.name());
        if self.filter.as_ref().is_none_or(wanted) {
            sender.deliver(&self.url, event, body).await;
        }
    }
}

/// Signs and sends.
#[derive(Debug)]
pub(crate) struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    key: Vec<u8>,
    journal: Arc<Journal>,
}

impl Sender {
    pub fn new(secret: &str, journal: Arc<Journal>) -> Result<Self, base64::DecodeError> {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { client, key: key(secret)?, journal })
    }

    async fn deliver(&self, url: &str, event: Event, body: &Value) {
        let body = body.to_string();
        let id = format!("msg_{:016x}", seed(&format!("{url}{}{body}", event.name())));
        let attempts = if event == Event::Completed { ATTEMPTS_MAX } else { 1 };
        for attempt in 0..attempts {
            if attempt > 0 {
                tokio::time::sleep(RETRY_AFTER).await;
            }
            let answered = self.attempt(url, &id, &body).await;
            let (status, error) = match answered {
                Ok(status) => (Some(status), None),
                Err(reason) => (None, Some(reason)),
            };
            let event = event.name().to_owned();
            let record = RecordedWebhook { id: id.clone(), url: url.to_owned(), event, status, error };
            self.journal.webhook(record);
            if status.is_some_and(|status| status < 500) {
                return;
            }
        }
    }

    async fn attempt(&self, url: &str, id: &str, body: &str) -> Result<u16, String> {
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature(&self.key, id, timestamp, body.as_bytes()))
            .body(Full::from(body.to_owned()))
            .map_err(|wrong| format!("the webhook's URL is not one: {wrong}"))?;
        let sent = tokio::time::timeout(ANSWER_WITHIN, self.client.request(request)).await;
        let response = sent.map_err(|_| "no answer within 5 s".to_owned())?;
        response.map(|response| response.status().as_u16()).map_err(|failed| failed.to_string())
    }
}

/// The `webhook-signature` header for a delivery.
///
/// `secret` is `whsec_` followed by base64; the result is `v1,` and the base64 of
/// HMAC-SHA256 over `{id}.{timestamp}.{body}`.
///
/// # Errors
/// The secret is not base64.
pub fn sign(secret: &str, id: &str, timestamp: u64, body: &[u8]) -> Result<String, base64::DecodeError> {
    Ok(signature(&key(secret)?, id, timestamp, body))
}

fn key(secret: &str) -> Result<Vec<u8>, base64::DecodeError> {
    STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret))
}

fn signature(key: &[u8], id: &str, timestamp: u64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
