//! Acme as a provider.

mod catalog;
mod chat;
mod embedding;
mod media;
mod moderation;
mod speech;
mod transcription;

/// The plugin. Every call runs in a fresh instance, so it has no state.
#[derive(Debug)]
pub struct Acme;

// The host takes these names as the list of what the plugin can do.
atelier_plugin_sdk::export!(
    Acme: Catalog,
    Chat,
    Embedding,
    MediaJobs,
    Moderation,
    Speech,
    Transcription,
);
