//! Jobs and the registry over providers that do what a test says, on the real store.

#[path = "support/clock.rs"]
mod clock;
#[path = "support/scripted.rs"]
#[expect(dead_code, reason = "a part of its scripts is for the tests of routes")]
mod scripted;

#[path = "providers/callbacks.rs"]
mod callbacks;
#[path = "providers/idempotency.rs"]
mod idempotency;
#[path = "providers/jobs.rs"]
mod jobs;
#[path = "providers/registry.rs"]
mod registry;
