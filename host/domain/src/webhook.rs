//! Outgoing webhooks: where owners want to be told, and what became of each telling.

mod secret;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Event, EventKind};
use crate::id::{DeliveryId, EndpointId, MessageId, UserId};
use crate::time::Timestamp;

pub use secret::{InvalidSecret, SigningSecret};

/// Attempts kept with a delivery: the newest.
pub const ATTEMPTS_KEPT: usize = 16;
/// Secrets of an endpoint that sign at once: the current one and those that are on their way out.
pub const SECRETS_MAX: usize = 3;
/// An endpoint at which every attempt has failed for this long is disabled.
pub const FAILING_MAX: Duration = Duration::from_secs(5 * 86_400);
/// Deliveries that wait for one endpoint. What comes beyond is counted and not sent.
pub const PENDING_PER_ENDPOINT_MAX: u32 = 10_000;

/// A secret of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSecret {
    pub secret: SigningSecret,
    /// It signs until then; the current one without end.
    pub expires: Option<Timestamp>,
}

/// Why an endpoint is sent nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisabledReason {
    /// Its owner wanted it so.
    Owner,
    /// Every attempt failed for [`FAILING_MAX`].
    Failing,
    /// It answered 410: it is gone for good.
    Gone,
}

impl DisabledReason {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Failing => "failing",
            Self::Gone => "gone",
        }
    }
}

/// Since when and why an endpoint is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    pub since: Timestamp,
    pub reason: DisabledReason,
}

/// Where an owner wants to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    pub id: EndpointId,
    pub owner: UserId,
    pub url: String,
    /// For people.
    pub description: String,
    pub events: Vec<EventKind>,
    pub created: Timestamp,
    /// The current one first.
    pub secrets: Vec<EndpointSecret>,
    pub disabled: Option<Disabled>,
    /// When the present run of failures began.
    pub failing_since: Option<Timestamp>,
}

impl WebhookEndpoint {
    /// Whether it is told of such an event.
    pub fn wants(&self, kind: EventKind) -> bool {
        self.disabled.is_none() && self.events.contains(&kind)
    }

    /// What signs at `now`, the current secret first.
    pub fn signing(&self, now: Timestamp) -> impl Iterator<Item = &SigningSecret> {
        let signs = move |held: &&EndpointSecret| held.expires.is_none_or(|expires| now < expires);
        self.secrets.iter().filter(signs).map(|held| &held.secret)
    }

    /// Takes a new secret; those before it sign for `overlap` more, or as long as they were to.
    pub fn rotate(&mut self, secret: SigningSecret, now: Timestamp, overlap: Duration) {
        let until = now.plus(overlap);
        for held in &mut self.secrets {
            held.expires = Some(held.expires.map_or(until, |expires| expires.min(until)));
        }
        self.secrets.retain(|held| held.expires.is_some_and(|expires| now < expires));
        self.secrets.insert(0, EndpointSecret { secret, expires: None });
        self.secrets.truncate(SECRETS_MAX);
    }

    /// Takes note of how an attempt ended.
    pub fn note(&mut self, attempt: &Attempt) {
        if attempt.is_success() {
            self.failing_since = None;
            return;
        }
        let since = *self.failing_since.get_or_insert(attempt.at);
        let reason = if attempt.status == Some(410) {
            Some(DisabledReason::Gone)
        } else {
            (attempt.at >= since.plus(FAILING_MAX)).then_some(DisabledReason::Failing)
        };
        if let Some(reason) = reason {
            self.disabled.get_or_insert(Disabled { since: attempt.at, reason });
        }
    }
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    Event(Box<Event>),
    /// Whether the endpoint works.
    Test {
        id: MessageId,
        time: Timestamp,
    },
}

impl Message {
    /// Its name, by which a receiver knows it when it comes again.
    pub fn id(&self) -> MessageId {
        match self {
            Message::Event(event) => event.message_id(),
            Message::Test { id, .. } => *id,
        }
    }

    /// When what it tells happened.
    pub fn time(&self) -> Timestamp {
        match self {
            Message::Event(event) => event.time,
            Message::Test { time, .. } => *time,
        }
    }

    /// The id of the request that began what it tells of, if that is known.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Message::Event(event) => event.job.request_id.as_deref(),
            Message::Test { .. } => None,
        }
    }

    /// The word for what it tells.
    pub fn kind(&self) -> &'static str {
        match self {
            Message::Event(event) => event.kind.as_str(),
            Message::Test { .. } => "webhook.test",
        }
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// It is to be tried, perhaps again.
    Pending,
    Succeeded,
    /// All attempts failed; it can be sent again by hand.
    Failed,
}

impl DeliveryState {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub at: Timestamp,
    pub duration_ms: u64,
    /// What the endpoint answered.
    pub status: Option<u16>,
    /// Why there was no answer: a stable word.
    pub error: Option<String>,
    /// The beginning of the answer's body, if that is text.
    pub excerpt: Option<String>,
}

impl Attempt {
    /// Whether the endpoint took it.
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// A message on its way to an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    pub id: DeliveryId,
    pub endpoint: EndpointId,
    pub owner: UserId,
    pub message: Message,
    pub created: Timestamp,
    pub state: DeliveryState,
    /// Tries since it was made or sent again by hand.
    pub tries: u32,
    /// While it is pending: when it is tried next.
    pub next_at: Timestamp,
    /// The newest last.
    pub attempts: Vec<Attempt>,
}

impl Delivery {
    /// A message for an endpoint, to be sent at once.
    pub fn new(endpoint: &WebhookEndpoint, message: Message, now: Timestamp) -> Self {
        let id = DeliveryId::derived(now, &[endpoint.id.as_bytes(), message.id().as_bytes()]);
        Self {
            id,
            endpoint: endpoint.id,
            owner: endpoint.owner,
            message,
            created: now,
            state: DeliveryState::Pending,
            tries: 0,
            next_at: now,
            attempts: Vec::new(),
        }
    }

    /// Takes note of an attempt: taken, to be tried again then, or given up.
    pub fn note(&mut self, attempt: Attempt, retry_at: Option<Timestamp>) {
        self.tries = self.tries.saturating_add(1);
        self.state = match retry_at {
            _ if attempt.is_success() => DeliveryState::Succeeded,
            // It was asked for again while the attempt was under way.
            _ if self.next_at > attempt.at => DeliveryState::Pending,
            Some(at) => {
                self.next_at = at;
                DeliveryState::Pending
            }
            None => DeliveryState::Failed,
        };
        if self.attempts.len() >= ATTEMPTS_KEPT {
            self.attempts.drain(..=self.attempts.len() - ATTEMPTS_KEPT);
        }
        self.attempts.push(attempt);
    }
}

/// What waits for an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointQueue {
    pub pending: u32,
    /// Messages that were not sent because too many were pending.
    pub dropped: u64,
}

#[cfg(test)]
mod tests;
