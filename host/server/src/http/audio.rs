//! `/v1/audio/…` (OpenAI API, audio).

mod form;
pub(super) mod speech;
mod subtitles;
mod transcript;
pub(super) mod transcriptions;
