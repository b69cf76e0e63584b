//! What owners do with their endpoints and deliveries.

use std::time::Duration;

use atelier_domain::event::EventKind;
use atelier_domain::id::{DeliveryId, EndpointId, MessageId};
use atelier_domain::store::{DeliveryKey, StoreError};
use atelier_domain::webhook::{
    Delivery, Disabled, DisabledReason, EndpointQueue, EndpointSecret, Message, PENDING_PER_ENDPOINT_MAX,
    SigningSecret, WebhookEndpoint,
};

use super::Webhooks;
use crate::ServiceError;
use crate::caller::Caller;

/// Bytes of a URL, and characters of a description.
const URL_BYTES_MAX: usize = 2048;
const DESCRIPTION_CHARACTERS_MAX: usize = 200;
/// How long an old secret may sign beside a new one.
const OVERLAP_MAX: Duration = Duration::from_secs(7 * 86_400);

/// An endpoint to be made.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    pub url: String,
    pub description: String,
    pub events: Vec<EventKind>,
}

/// What is to change; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct EndpointChange {
    pub url: Option<String>,
    pub description: Option<String>,
    pub events: Option<Vec<EventKind>>,
    /// `true` begins anew whatever failed before.
    pub is_enabled: Option<bool>,
}

/// An endpoint, and what waits for it.
#[derive(Clone, Debug)]
pub struct Watched {
    pub endpoint: WebhookEndpoint,
    pub queue: EndpointQueue,
}

/// An endpoint with a new secret: the one time that it is shown.
#[derive(Clone, Debug)]
pub struct Made {
    pub endpoint: Watched,
    pub secret: SigningSecret,
}

fn no_endpoint() -> ServiceError {
    ServiceError::NotFound { what: "such webhook endpoint" }
}

fn invalid(param: &str, message: impl Into<String>) -> ServiceError {
    ServiceError::Invalid { param: param.to_owned(), message: message.into() }
}

fn secret() -> Result<SigningSecret, ServiceError> {
    SigningSecret::generate().map_err(|error| ServiceError::Internal(format!("no randomness: {error}")))
}

impl Webhooks {
    /// Makes an endpoint of the caller's.
    ///
    /// # Errors
    /// It may not be sent to, or they have too many.
    pub async fn create(&self, caller: &Caller, wanted: NewEndpoint) -> Result<Made, ServiceError> {
        self.check_url(&wanted.url)?;
        check_description(&wanted.description)?;
        let secret = secret()?;
        let endpoint = WebhookEndpoint {
            id: EndpointId::new(),
            owner: caller.user(),
            url: wanted.url,
            description: wanted.description,
            events: checked_events(wanted.events)?,
            created: self.inner.ports.clock.now(),
            secrets: vec![EndpointSecret { secret: secret.clone(), expires: None }],
            disabled: None,
            failing_since: None,
        };
        let (store, row, max) =
            (self.inner.ports.endpoints.clone(), endpoint.clone(), self.inner.limits.endpoints_per_user);
        if !self.inner.ports.pool.run(move || store.create_endpoint(&row, max)).await? {
            return Err(ServiceError::TooMany { what: "webhook endpoints", max });
        }
        Ok(Made { endpoint: Watched { endpoint, queue: EndpointQueue::default() }, secret })
    }

    /// The caller's endpoints, in the order of their making.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<Watched>, ServiceError> {
        let (store, owner) = (self.inner.ports.endpoints.clone(), caller.user());
        let all = move || {
            let watched = |endpoint: WebhookEndpoint| {
                Ok(Watched { queue: store.endpoint_queue(endpoint.id)?, endpoint })
            };
            store.endpoints(owner)?.into_iter().map(watched).collect::<Result<_, StoreError>>()
        };
        self.inner.ports.pool.run(all).await
    }

    /// The caller's endpoint.
    ///
    /// # Errors
    /// They have none such.
    pub async fn get(&self, caller: &Caller, id: EndpointId) -> Result<Watched, ServiceError> {
        let (store, owner) = (self.inner.ports.endpoints.clone(), caller.user());
        let found = self.inner.ports.pool.run(move || {
            let Some(endpoint) = store.endpoint(owner, id)? else { return Ok(None) };
            Ok::<_, StoreError>(Some(Watched { queue: store.endpoint_queue(id)?, endpoint }))
        });
        found.await?.ok_or_else(no_endpoint)
    }

    /// Changes the caller's endpoint.
    ///
    /// # Errors
    /// They have none such, or it may not be so.
    pub async fn change(
        &self,
        caller: &Caller,
        id: EndpointId,
        wanted: EndpointChange,
    ) -> Result<Watched, ServiceError> {
        if let Some(url) = &wanted.url {
            self.check_url(url)?;
        }
        if let Some(description) = &wanted.description {
            check_description(description)?;
        }
        let events = wanted.events.map(checked_events).transpose()?;
        let now = self.inner.ports.clock.now();
        self.alter(caller, id, move |endpoint| {
            if let Some(url) = &wanted.url {
                endpoint.url.clone_from(url);
            }
            if let Some(description) = &wanted.description {
                endpoint.description.clone_from(description);
            }
            if let Some(events) = &events {
                endpoint.events.clone_from(events);
            }
            match wanted.is_enabled {
                Some(true) => (endpoint.disabled, endpoint.failing_since) = (None, None),
                Some(false) => {
                    endpoint.disabled.get_or_insert(Disabled { since: now, reason: DisabledReason::Owner });
                }
                None => {}
            }
        })
        .await
    }

    /// Gives the caller's endpoint a new secret. The old one signs beside it for `overlap`, so that receivers can change over.
    ///
    /// # Errors
    /// They have none such, or the overlap is too long.
    pub async fn rotate(
        &self,
        caller: &Caller,
        id: EndpointId,
        overlap: Duration,
    ) -> Result<Made, ServiceError> {
        if overlap > OVERLAP_MAX {
            let hours = OVERLAP_MAX.as_secs() / 3600;
            return Err(invalid("overlap_hours", format!("must be {hours} at most")));
        }
        let (secret, now) = (secret()?, self.inner.ports.clock.now());
        let new = secret.clone();
        let endpoint =
            self.alter(caller, id, move |endpoint| endpoint.rotate(new.clone(), now, overlap)).await?;
        Ok(Made { endpoint, secret })
    }

    /// Removes the caller's endpoint. What waits for it is not sent any more.
    ///
    /// # Errors
    /// They have none such.
    pub async fn remove(&self, caller: &Caller, id: EndpointId) -> Result<(), ServiceError> {
        let (store, owner) = (self.inner.ports.endpoints.clone(), caller.user());
        let removed = self.inner.ports.pool.run(move || store.remove_endpoint(owner, id)).await?;
        if removed { Ok(()) } else { Err(no_endpoint()) }
    }

    /// Sends the caller's endpoint a message that says nothing, to see whether it works.
    ///
    /// # Errors
    /// They have none such, it is disabled, or too much waits for it.
    pub async fn test(&self, caller: &Caller, id: EndpointId) -> Result<Delivery, ServiceError> {
        let endpoint = self.enabled(caller, id).await?;
        let now = self.inner.ports.clock.now();
        let delivery = Delivery::new(&endpoint, Message::Test { id: MessageId::new(), time: now }, now);
        let (store, row) = (self.inner.ports.deliveries.clone(), delivery.clone());
        if !self.inner.ports.pool.run(move || store.create_delivery(&row)).await? {
            let max = usize::try_from(PENDING_PER_ENDPOINT_MAX).unwrap_or(usize::MAX);
            return Err(ServiceError::TooMany { what: "deliveries that wait for this endpoint", max });
        }
        self.inner.ports.hub.wake_deliveries();
        Ok(delivery)
    }

    /// What was and is sent to the caller's endpoint, newest first.
    ///
    /// # Errors
    /// They have no such endpoint.
    pub async fn deliveries(
        &self,
        caller: &Caller,
        id: EndpointId,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Delivery>, ServiceError> {
        self.get(caller, id).await?;
        let (store, owner) = (self.inner.ports.deliveries.clone(), caller.user());
        self.inner.ports.pool.run(move || store.deliveries(owner, id, before, limit)).await
    }

    /// Sends one of them again, whatever became of it, with all its attempts before it.
    ///
    /// # Errors
    /// There is none such, or its endpoint is disabled.
    pub async fn send_again(&self, caller: &Caller, key: DeliveryKey) -> Result<Delivery, ServiceError> {
        self.enabled(caller, key.endpoint).await?;
        let (store, owner) = (self.inner.ports.deliveries.clone(), caller.user());
        let now = self.inner.ports.clock.now();
        let again = self.inner.ports.pool.run(move || store.send_again(owner, key, now)).await?;
        self.inner.ports.hub.wake_deliveries();
        again.ok_or(ServiceError::NotFound { what: "such delivery" })
    }

    async fn enabled(&self, caller: &Caller, id: EndpointId) -> Result<WebhookEndpoint, ServiceError> {
        let endpoint = self.get(caller, id).await?.endpoint;
        match endpoint.disabled {
            None => Ok(endpoint),
            Some(_) => Err(invalid("id", "the endpoint is disabled: enable it first")),
        }
    }

    async fn alter(
        &self,
        caller: &Caller,
        id: EndpointId,
        change: impl Fn(&mut WebhookEndpoint) + Send + 'static,
    ) -> Result<Watched, ServiceError> {
        let (store, owner) = (self.inner.ports.endpoints.clone(), caller.user());
        let changed = self.inner.ports.pool.run(move || store.change_endpoint(owner, id, &change)).await?;
        changed.ok_or_else(no_endpoint)?;
        self.get(caller, id).await
    }

    fn check_url(&self, url: &str) -> Result<(), ServiceError> {
        if url.len() > URL_BYTES_MAX {
            return Err(invalid("url", format!("must have {URL_BYTES_MAX} bytes at most")));
        }
        self.inner.ports.sender.check(url).map_err(|why| invalid("url", why))
    }
}

fn check_description(text: &str) -> Result<(), ServiceError> {
    let is_text = text.chars().count() <= DESCRIPTION_CHARACTERS_MAX && !text.chars().any(char::is_control);
    let max = DESCRIPTION_CHARACTERS_MAX;
    let why = || invalid("description", format!("must be at most {max} characters without line breaks"));
    is_text.then_some(()).ok_or_else(why)
}

/// Each kind once; at least one.
fn checked_events(wanted: Vec<EventKind>) -> Result<Vec<EventKind>, ServiceError> {
    let events: Vec<EventKind> = EventKind::ALL.into_iter().filter(|kind| wanted.contains(kind)).collect();
    if events.is_empty() { Err(invalid("events", "must name at least one event")) } else { Ok(events) }
}
