//! Outgoing webhooks (Standard Webhooks, <https://www.standardwebhooks.com>): who is told where, and each message sent until it is taken
//! or given up. At least once, in no promised order.

mod attempt;
mod counters;
mod dispatch;
mod endpoints;
mod retry;
mod signature;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use atelier_domain::store::{AccountStore, DeliveryStore, EndpointStore};
use atelier_domain::time::Clock;
use atelier_domain::webhook::Message;
use tokio::sync::Semaphore;

use crate::StoragePool;
use crate::events::Hub;
use dispatch::SendingNow;

pub use counters::{Counts, Outcome};
pub use endpoints::{EndpointChange, Made, NewEndpoint, Watched};

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct Post<'a> {
    pub url: &'a str,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// What an endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The beginning of its body.
    pub body: Vec<u8>,
    /// How long it asks to be left alone (`retry-after`, RFC 9110 §10.2.3).
    pub retry_after: Option<Duration>,
}

/// The way out for webhooks.
#[async_trait]
pub trait WebhookSender: Send + Sync + std::fmt::Debug {
    /// Whether a URL could be sent to, as far as it says itself.
    ///
    /// # Errors
    /// The rule it breaks, for its owner.
    fn check(&self, url: &str) -> Result<(), String>;

    /// Sends a message, following no redirect, and reads at most `body_max` bytes of the answer.
    ///
    /// # Errors
    /// Why there was no answer: a stable word.
    async fn post(&self, post: Post<'_>, body_max: usize) -> Result<Answer, &'static str>;
}

/// Bounds of outgoing webhooks.
#[derive(Clone, Copy, Debug)]
pub struct WebhookLimits {
    pub endpoints_per_user: usize,
    /// Messages that are sent at once, of these to the endpoints of one user, and to one endpoint.
    pub concurrent: usize,
    pub concurrent_per_user: usize,
    pub concurrent_per_endpoint: usize,
    /// For one attempt, from its begin to the end of what is read of the answer.
    pub attempt_max: Duration,
    /// How long deliveries are listed.
    pub kept_for: Duration,
    /// Older ones that are removed in one go of a sweep.
    pub swept_at_once: usize,
}

impl Default for WebhookLimits {
    fn default() -> Self {
        Self {
            endpoints_per_user: 10,
            concurrent: 32,
            concurrent_per_user: 8,
            concurrent_per_endpoint: 4,
            attempt_max: Duration::from_secs(15),
            kept_for: Duration::from_secs(30 * 86_400),
            swept_at_once: 1024,
        }
    }
}

/// What outgoing webhooks work with.
#[derive(Debug)]
pub struct WebhookPorts {
    pub accounts: Arc<dyn AccountStore>,
    pub endpoints: Arc<dyn EndpointStore>,
    pub deliveries: Arc<dyn DeliveryStore>,
    pub pool: StoragePool,
    pub sender: Arc<dyn WebhookSender>,
    pub clock: Arc<dyn Clock>,
    pub hub: Arc<Hub>,
    /// A message as JSON.
    pub render: fn(&Message) -> Vec<u8>,
}

#[derive(Debug)]
struct Inner {
    ports: WebhookPorts,
    limits: WebhookLimits,
    workers: Arc<Semaphore>,
    running: Mutex<SendingNow>,
    /// One sweep at a time.
    sweeping: Arc<Semaphore>,
    counts: Counts,
}

/// Webhooks of all users.
#[derive(Clone, Debug)]
pub struct Webhooks {
    inner: Arc<Inner>,
}

impl Webhooks {
    /// Nothing is sent before [`Webhooks::run`] drives it.
    pub fn new(ports: WebhookPorts, limits: WebhookLimits) -> Self {
        let inner = Inner {
            ports,
            limits,
            workers: Arc::new(Semaphore::new(limits.concurrent)),
            running: Mutex::default(),
            sweeping: Arc::new(Semaphore::new(1)),
            counts: Counts::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What became of attempts so far.
    pub fn counts(&self) -> &Counts {
        &self.inner.counts
    }
}
