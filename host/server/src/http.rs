//! HTTP: wire types, handlers, and the one path that every request takes.

mod answer;
mod audio;
mod body;
mod budgets;
mod chat_completions;
mod credits;
mod deprecation;
mod embeddings;
mod error;
mod events;
mod favicon;
mod form;
mod gate;
mod generations;
mod hooks;
pub mod idempotency;
mod images;
mod input;
mod keys;
mod messages;
mod models;
mod moderations;
mod observe;
pub mod openapi;
mod plugins;
mod prefix;
mod query;
mod responses;
pub mod route;
mod sse;
mod usage;
mod users;
mod webhook_endpoints;

pub use error::{ApiError, Dialect};
pub(crate) use events::message::body as message;
pub use gate::{Call, Reply};
