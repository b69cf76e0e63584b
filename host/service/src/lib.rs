//! Use cases over the domain's ports: who is calling, how often they may, which provider serves a model, and what a
//! generation is from request to result.
//!
//! Nothing here knows HTTP, WebAssembly or the database; concrete stores and providers are handed in.

pub mod accounts;
pub mod audit;
pub mod batches;
pub mod callbacks;
pub mod caller;
mod concealed;
pub mod conversations;
pub mod deletions;
pub mod disk;
pub mod enrolment;
pub mod error;
pub mod events;
pub mod fetcher;
pub mod files;
pub mod generation;
pub mod idempotency;
pub mod jobs;
pub mod ledger;
pub mod limits;
pub mod links;
pub mod meter;
pub mod own_keys;
mod patience;
pub mod picture;
mod places;
pub mod plugins;
pub mod recording;
pub mod registry;
pub mod renditions;
pub mod responses;
pub mod screening;
mod storage_pool;
pub mod templates;
pub mod webhooks;

pub use error::ServiceError;
pub use storage_pool::{StoragePool, StoragePoolLimits};
