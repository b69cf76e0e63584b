//! Speech to text.

use super::chat::TokenLogprob;
use super::usage::UsageLine;
use super::{Json, Other};
use crate::blob::Blob;

#[derive(Clone, Debug)]
pub struct TranscriptionRequest {
    pub model: String,
    pub audio: Blob,
    pub filename: String,
    pub language: Option<String>,
    pub prompt: Option<String>,
    pub temperature: Option<f64>,
    /// Into English.
    pub translate: bool,
    pub word_times: bool,
    pub segment_times: bool,
    /// Whether to tell speakers apart.
    pub speakers: bool,
    /// Whether to report how likely each token was.
    pub logprobs: bool,
    pub stream: bool,
    pub options: Json,
}

#[derive(Clone, Debug)]
pub struct TranscribedWord {
    pub text: String,
    pub start_ms: u64,
    pub end_ms: u64,
    pub speaker: Option<String>,
    /// The provider's other fields, an object.
    pub extra: Option<Json>,
}

#[derive(Clone, Debug)]
pub struct TranscribedSegment {
    pub text: String,
    pub start_ms: u64,
    pub end_ms: u64,
    pub speaker: Option<String>,
    pub avg_logprob: Option<f64>,
    pub no_speech_probability: Option<f64>,
    /// The provider's other fields, an object; see `wit/` for those that the host knows.
    pub extra: Option<Json>,
}

#[derive(Clone, Debug, Default)]
pub struct Transcript {
    pub text: String,
    pub language: Option<String>,
    pub duration_ms: Option<u64>,
    pub words: Vec<TranscribedWord>,
    pub segments: Vec<TranscribedSegment>,
    pub logprobs: Vec<TokenLogprob>,
    pub usage: Vec<UsageLine>,
    /// The provider's other fields, an object.
    pub extra: Option<Json>,
}

/// A step of a transcription.
#[derive(Clone, Debug)]
pub enum TranscriptionEvent {
    /// The next piece of text.
    Text(String),
    /// Of the piece of text that came last.
    Logprobs(Vec<TokenLogprob>),
    /// A segment that will not change any more.
    Segment(TranscribedSegment),
    Other(Other),
    /// Last: all of it.
    Finished(Box<Transcript>),
}
