//! What live calls are expected to use, as far as their requests tell: what is set aside for them, and what is charged where their
//! provider does not say.

use atelier_domain::generation::chat::ChatRequest;
use atelier_domain::generation::embedding::{EmbeddingInput, EmbeddingRequest};
use atelier_domain::generation::moderation::{ModerationInput, ModerationRequest};
use atelier_domain::generation::speech::SpeechRequest;
use atelier_domain::generation::transcription::TranscriptionRequest;
use atelier_domain::model::ModelLimits;

use super::sound;
use super::token_count::{self, BYTES_PER_TOKEN};
use crate::ledger::Expected;

/// Tokens of an answer of which nobody says how long it may be.
const OUTPUT_TOKENS_USUAL: u64 = 4_096;

/// No token has less than a byte, so that the text's bytes are the most.
fn tokens(likely: u64) -> (&'static str, u64, u64) {
    ("input-tokens", likely, likely.saturating_mul(BYTES_PER_TOKEN))
}

pub(super) fn chat(request: &ChatRequest, limits: &ModelLimits) -> Expected {
    let asked = request.max_output_tokens.map(u64::from);
    let most = asked.or(limits.output_tokens).or(limits.context_tokens).unwrap_or(OUTPUT_TOKENS_USUAL);
    let input = tokens(token_count::estimate(request));
    Expected { input, sound_ms: None, output: Some(("output-tokens", most)) }
}

pub(super) fn speech(request: &SpeechRequest) -> Expected {
    let characters = request.text.chars().count() as u64;
    Expected { input: ("characters", characters, characters), sound_ms: None, output: None }
}

/// How long a recording is, its head tells, or its provider finds out.
pub(super) fn transcription(request: &TranscriptionRequest) -> Expected {
    Expected { input: ("requests", 1, 1), sound_ms: sound::length_ms(&request.audio), output: None }
}

pub(super) fn embedding(request: &EmbeddingRequest) -> Expected {
    let likely = request.inputs.iter().map(|input| match input {
        EmbeddingInput::Text(text) => (text.len() as u64).div_ceil(BYTES_PER_TOKEN),
        EmbeddingInput::Tokens(tokens) => tokens.len() as u64,
        EmbeddingInput::Media(_) | EmbeddingInput::Other(_) => token_count::IMAGE_TOKENS,
    });
    Expected { input: tokens(likely.sum()), sound_ms: None, output: None }
}

pub(super) fn moderation(request: &ModerationRequest) -> Expected {
    let likely = request.inputs.iter().map(|input| match input {
        ModerationInput::Text(text) => (text.len() as u64).div_ceil(BYTES_PER_TOKEN),
        ModerationInput::Image(_) | ModerationInput::Other(_) => token_count::IMAGE_TOKENS,
    });
    Expected { input: tokens(likely.sum()), sound_ms: None, output: None }
}
