//! Speech to text.

use super::Json;
use super::usage::UsageLine;
use crate::blob::Blob;

#[derive(Clone, Debug)]
pub struct TranscriptionRequest {
    pub model: String,
    pub audio: Blob,
    pub filename: String,
    pub language: Option<String>,
    pub prompt: Option<String>,
    pub temperature: Option<f32>,
    /// Into English.
    pub translate: bool,
    pub word_times: bool,
    pub segment_times: bool,
    pub stream: bool,
    pub options: Json,
}

#[derive(Clone, Debug)]
pub struct TranscribedWord {
    pub text: String,
    pub start_ms: u64,
    pub end_ms: u64,
}

#[derive(Clone, Debug)]
pub struct TranscribedSegment {
    pub text: String,
    pub start_ms: u64,
    pub end_ms: u64,
    pub speaker: Option<String>,
    pub avg_logprob: Option<f32>,
    pub no_speech_probability: Option<f32>,
}

#[derive(Clone, Debug, Default)]
pub struct Transcript {
    pub text: String,
    pub language: Option<String>,
    pub duration_ms: Option<u64>,
    pub words: Vec<TranscribedWord>,
    pub segments: Vec<TranscribedSegment>,
    pub usage: Vec<UsageLine>,
}

/// A step of a transcription.
#[derive(Clone, Debug)]
pub enum TranscriptionEvent {
    /// The next piece of text.
    Text(String),
    /// Last: all of it.
    Finished(Box<Transcript>),
}
