//! The ports of webhook endpoints and of deliveries to them. A store makes the deliveries of an event itself, in its transaction.

use std::fmt;

use super::{StoreError, SweepPage, Swept};
use crate::id::{DeliveryId, EndpointId, UserId};
use crate::time::Timestamp;
use crate::webhook::{Attempt, Delivery, EndpointQueue, WebhookEndpoint};

/// Which delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryKey {
    pub endpoint: EndpointId,
    pub id: DeliveryId,
}

/// A delivery that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueDelivery {
    pub key: DeliveryKey,
    /// Whose it is. Absent where that cannot be read.
    pub owner: Option<UserId>,
}

/// Deliveries that are due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DueDeliveries {
    /// By endpoint, of each the earliest first.
    pub due: Vec<DueDelivery>,
    /// When the next one is due among the endpoints that were visited and have none due now.
    pub next_at: Option<Timestamp>,
    /// Where to go on; absent when all endpoints were visited.
    pub next: Option<EndpointId>,
}

/// What is left after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct AfterAttempt {
    pub delivery: Delivery,
    /// Absent if it was removed meanwhile.
    pub endpoint: Option<WebhookEndpoint>,
}

/// Webhook endpoints.
pub trait EndpointStore: Send + Sync + fmt::Debug {
    /// Adds an endpoint, durably; `false` if its owner has `per_owner_max` already.
    fn create_endpoint(&self, endpoint: &WebhookEndpoint, per_owner_max: usize) -> Result<bool, StoreError>;
    /// The owner's endpoints in the order of their making: all, since they are few.
    fn endpoints(&self, owner: UserId) -> Result<Vec<WebhookEndpoint>, StoreError>;
    /// The owner's endpoint; another's is none.
    fn endpoint(&self, owner: UserId, id: EndpointId) -> Result<Option<WebhookEndpoint>, StoreError>;
    /// What waits for an endpoint.
    fn endpoint_queue(&self, id: EndpointId) -> Result<EndpointQueue, StoreError>;
    /// Reads, changes and writes the owner's endpoint in a transaction, durably. `change` may run again and must do nothing else. Its id
    /// and owner stay. `None` if there is none.
    fn change_endpoint(
        &self,
        owner: UserId,
        id: EndpointId,
        change: &dyn Fn(&mut WebhookEndpoint),
    ) -> Result<Option<WebhookEndpoint>, StoreError>;
    /// Removes the owner's endpoint, durably; `false` if there is none. What waits for it is never sent.
    fn remove_endpoint(&self, owner: UserId, id: EndpointId) -> Result<bool, StoreError>;
}

/// Deliveries to webhook endpoints.
pub trait DeliveryStore: Send + Sync + fmt::Debug {
    /// Adds a delivery to an endpoint of its owner, durably; `false` if there is no such endpoint or too much waits for it.
    fn create_delivery(&self, delivery: &Delivery) -> Result<bool, StoreError>;
    /// Any delivery: for the sender only.
    fn delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError>;
    /// The owner's deliveries to an endpoint, newest first, before `before`, `limit` at most.
    fn deliveries(
        &self,
        owner: UserId,
        endpoint: EndpointId,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError>;
    /// Lets the owner's delivery be tried at `now`, whatever became of it before, durably; `None` if there is none.
    fn send_again(
        &self,
        owner: UserId,
        key: DeliveryKey,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError>;
    /// What is due at `now`, for endpoints from `from` on, `endpoints_max` of them and of each `per_endpoint_max` deliveries. Takes time
    /// by the endpoints for which something waits.
    fn due_deliveries(
        &self,
        from: Option<EndpointId>,
        now: Timestamp,
        endpoints_max: usize,
        per_endpoint_max: usize,
    ) -> Result<DueDeliveries, StoreError>;
    /// Notes an attempt at a pending delivery and at its endpoint, durably; after a failure it is tried again at `retry_at`, or given up.
    /// `None` if it is pending no more.
    fn record_attempt(
        &self,
        key: DeliveryKey,
        attempt: &Attempt,
        retry_at: Option<Timestamp>,
    ) -> Result<Option<AfterAttempt>, StoreError>;
    /// When the oldest pending delivery was made.
    fn oldest_pending(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Forgets deliveries made before `before`, the oldest first. Recorded, not durable.
    fn sweep_deliveries(&self, before: Timestamp, page: &SweepPage) -> Result<Swept, StoreError>;
}
