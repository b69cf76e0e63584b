//! Telling callers what happens to their jobs: feeds and webhooks, as configured.

use std::sync::Arc;

use atelier_domain::time::Clock;
use atelier_service::StoragePool;
use atelier_service::events::{EventLimits, EventPorts, Events, Hub};
use atelier_service::webhooks::{WebhookLimits, WebhookPorts, Webhooks};
use atelier_storage::Store;

use crate::config::Config;
use crate::http::message;
use crate::webhook_sender::EgressSender;

/// Feeds of events.
pub(super) fn events(
    config: &Config,
    store: &Arc<Store>,
    pool: &StoragePool,
    clock: &Arc<dyn Clock>,
    hub: &Arc<Hub>,
) -> Events {
    let limits = EventLimits {
        feeds_per_user: config.events.feeds_per_user,
        feeds_max: config.events.feeds_max,
        stall_max: config.server.stream_idle_max,
        total_max: config.server.stream_max,
        kept_per_user: config.events.kept_per_user,
        kept_for: config.events.kept_for,
        ..EventLimits::default()
    };
    let (pool, clock, hub) = (pool.clone(), clock.clone(), hub.clone());
    let (accounts, events, jobs) = (store.clone(), store.clone(), store.clone());
    let ports = EventPorts { accounts, events, jobs, pool, clock, hub };
    Events::new(ports, limits)
}

/// Outgoing webhooks.
pub(super) fn webhooks(
    config: &Config,
    store: &Arc<Store>,
    pool: &StoragePool,
    clock: &Arc<dyn Clock>,
    hub: &Arc<Hub>,
    sender: EgressSender,
) -> Webhooks {
    let limits = WebhookLimits {
        endpoints_per_user: config.webhooks.endpoints_per_user,
        concurrent: config.webhooks.concurrent,
        concurrent_per_user: config.webhooks.concurrent_per_user,
        attempt_max: config.webhooks.attempt_max,
        kept_for: config.webhooks.kept_for,
        ..WebhookLimits::default()
    };
    let ports = WebhookPorts {
        accounts: store.clone(),
        endpoints: store.clone(),
        deliveries: store.clone(),
        pool: pool.clone(),
        sender: Arc::new(sender),
        clock: clock.clone(),
        hub: hub.clone(),
        render: message,
    };
    Webhooks::new(ports, limits)
}
