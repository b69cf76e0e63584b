//! The HTTP API through a real listener and the real store.

#[path = "support/host.rs"]
mod host;

#[path = "routes/access.rs"]
mod access;
#[path = "routes/chat_completions.rs"]
mod chat_completions;
#[path = "routes/models.rs"]
mod models;
#[path = "routes/openapi.rs"]
mod openapi;
#[path = "routes/table.rs"]
mod table;
