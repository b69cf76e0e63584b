//! Jobs, their events, webhooks and the registry over providers and receivers that do what a test says, on the real store.

#[path = "support/clock.rs"]
mod clock;
#[path = "support/disk.rs"]
mod disk;
#[path = "support/failing.rs"]
mod failing;
#[path = "support/scripted.rs"]
#[expect(dead_code, reason = "a part of its scripts is for the tests of routes")]
mod scripted;
#[path = "support/sending.rs"]
mod sending;

#[path = "providers/aliases.rs"]
mod aliases;
#[path = "providers/busy_storage.rs"]
mod busy_storage;
#[path = "providers/callbacks.rs"]
mod callbacks;
#[path = "providers/enrolment.rs"]
mod enrolment;
#[path = "providers/events.rs"]
mod events;
#[path = "providers/files.rs"]
mod files;
#[path = "providers/idempotency.rs"]
mod idempotency;
#[path = "providers/jobs.rs"]
mod jobs;
#[path = "providers/left_calls.rs"]
mod left_calls;
#[path = "providers/live_money.rs"]
mod live_money;
#[path = "providers/money.rs"]
mod money;
#[path = "providers/own_keys.rs"]
mod own_keys;
#[path = "providers/registry.rs"]
mod registry;
#[path = "providers/renditions.rs"]
mod renditions;
#[path = "providers/results.rs"]
mod results;
#[path = "providers/screening.rs"]
mod screening;
#[path = "providers/sessions.rs"]
mod sessions;
#[path = "providers/templates.rs"]
mod templates;
#[path = "providers/trainings.rs"]
mod trainings;
#[path = "providers/webhooks.rs"]
mod webhooks;
