//! ElevenLabs as a provider: speech, sound effects and transcription.
//!
//! Written from ElevenLabs' public API reference (<https://elevenlabs.io/docs/api-reference>). What it bills, credits, is told in
//! the header `character-cost`; an answer without it is metered by its text.
//!
//! No request names an idempotency header: the reference promises none, so a charging request whose outcome is unknown is not
//! sent again.

mod api;
mod catalog;
mod fault;
mod format;
mod sound;
mod speech;
mod transcription;

/// The plugin.
#[derive(Debug)]
pub struct ElevenLabs;

atelier_plugin_sdk::export!(ElevenLabs: Catalog, Speech, Transcription, MediaJobs);
