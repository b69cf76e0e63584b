//! OpenAI, and every server that speaks its API, as a provider.
//!
//! Written from OpenAI's public API reference (<https://platform.openai.com/docs/api-reference>). An instance whose base URL is not
//! OpenAI's is a compatible server: it is asked only for what such servers commonly know.
//!
//! No request names an idempotency header: the reference promises none, so a charging request whose outcome is unknown is not
//! sent again.

mod api;
mod catalog;
mod chat;
mod embedding;
mod fault;
mod form;
mod media;
mod moderation;
mod speech;
mod training;
mod transcription;
mod usage;
mod webhook;

/// The plugin.
#[derive(Debug)]
pub struct OpenAi;

atelier_plugin_sdk::export!(
    OpenAi: Catalog, Chat, Embedding, Moderation, Speech, Transcription, MediaJobs, Training, Webhook
);
