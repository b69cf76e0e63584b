//! `/v1/audio/…` (OpenAI API, audio).

mod form;
pub(super) mod speech;
mod subtitles;
pub(super) mod transcriptions;
