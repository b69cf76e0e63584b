//! What Atelier is about, free of any technology: accounts, models, generations, jobs, plugins, and the ports
//! (traits) that storage, the sandbox and the in-house engine implement.
//!
//! Nothing here knows HTTP, WebAssembly or the database.

pub mod account;
pub mod alias;
pub mod audit;
pub mod batch;
pub mod blob;
pub mod conversation;
pub mod deletion;
pub mod disk;
pub mod egress;
pub mod event;
pub mod export;
pub mod failure;
pub mod file;
pub mod generation;
pub mod hidden;
pub mod id;
pub mod idempotency;
pub mod job;
pub mod link;
pub mod mail;
pub mod manifest;
pub mod model;
pub mod money;
pub mod plugin;
pub mod provider;
pub mod rendition;
pub mod response;
pub mod store;
pub mod template;
pub mod text;
pub mod time;
pub mod trace;
pub mod webhook;
