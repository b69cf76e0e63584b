//! Models hosted by Replicate as a provider.
//!
//! Written from Replicate's public HTTP API reference (<https://replicate.com/docs/reference/http>). Each model has inputs of its
//! own, described by its schema: prompt, seed and whatever else a request names goes to the input of that name, and `options` are
//! further inputs as they are. An id is `owner/name` for an official model, `owner/name:version` for any.
//!
//! No request names an idempotency header: the reference promises none, so a charging request whose outcome is unknown is not
//! sent again.

mod api;
mod catalog;
mod fault;
mod id;
mod media;
mod prediction;
mod training;
mod webhook;

/// The plugin.
#[derive(Debug)]
pub struct Replicate;

atelier_plugin_sdk::export!(Replicate: Catalog, MediaJobs, Training, Webhook);
