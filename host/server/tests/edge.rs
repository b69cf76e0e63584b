//! What an operator relies on: the real binary with a provider behind it that answers, fails, drips and stalls.

#[path = "support/binary.rs"]
mod binary;

#[path = "edge/batches.rs"]
mod batches;
#[path = "edge/egress.rs"]
mod egress;
#[path = "edge/errors.rs"]
mod errors;
#[path = "edge/limits.rs"]
mod limits;
#[path = "edge/log.rs"]
mod log;
#[path = "edge/metrics.rs"]
mod metrics;
#[path = "edge/models.rs"]
mod models;
#[path = "edge/pictures.rs"]
mod pictures;
#[path = "edge/screening.rs"]
mod screening;
#[path = "edge/shutdown.rs"]
mod shutdown;
#[path = "edge/timing.rs"]
mod timing;
#[path = "edge/traces.rs"]
mod traces;
