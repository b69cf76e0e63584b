//! Text to speech.

use bytes::Bytes;

use super::Json;
use super::usage::UsageLine;

#[derive(Clone, Debug)]
pub struct SpeechRequest {
    pub model: String,
    pub text: String,
    pub voice: String,
    /// `mp3`, `wav`, `opus`, `flac`, `aac`, `pcm`; absent: [`SpeechRequest::USUAL_FORMAT`] of providers that have it.
    pub format: Option<String>,
    pub speed: Option<f64>,
    pub instructions: Option<String>,
    pub language: Option<String>,
    pub options: Json,
}

impl SpeechRequest {
    /// What a caller gets who does not say, as OpenAI's API has it.
    pub const USUAL_FORMAT: &str = "mp3";
}

/// A step of spoken audio.
#[derive(Clone, Debug)]
pub enum SpeechEvent {
    /// First: the media type of the audio.
    Started(String),
    Audio(Bytes),
    /// Last: the audio is whole.
    Finished(Vec<UsageLine>),
}
