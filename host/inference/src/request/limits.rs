//! What a request may ask for.

use super::ChatRequest;
use crate::error::EngineError;

/// Stop sequences of one request.
pub const STOP_SEQUENCES_MAX: usize = 16;
/// Bytes of one stop sequence.
pub const STOP_BYTES_MAX: usize = 512;
/// Tokens with a bias in one request.
pub const LOGIT_BIASES_MAX: usize = 1024;
/// Likeliest tokens that are told of at one place (OpenAI's limit).
pub const TOP_LOGPROBS_MAX: u8 = 20;
/// The strongest repetition penalty.
pub const REPETITION_PENALTY_MAX: f32 = 10.0;

impl ChatRequest {
    /// Check every parameter's range.
    ///
    /// # Errors
    /// [`EngineError::InvalidRequest`] names the first parameter out of range.
    pub fn validate(&self) -> Result<(), EngineError> {
        let checks = [
            (!self.messages.is_empty(), "messages", "at least one message is needed"),
            (self.max_tokens != Some(0), "max_tokens", "must be at least 1"),
            ((0.0..=2.0).contains(&self.temperature), "temperature", "must be from 0 to 2"),
            (self.top_p > 0.0 && self.top_p <= 1.0, "top_p", "must be above 0, and at most 1"),
            (self.top_k != Some(0), "top_k", "must be at least 1"),
            ((0.0..=1.0).contains(&self.min_p), "min_p", "must be from 0 to 1"),
            ((-2.0..=2.0).contains(&self.frequency_penalty), "frequency_penalty", "must be from -2 to 2"),
            ((-2.0..=2.0).contains(&self.presence_penalty), "presence_penalty", "must be from -2 to 2"),
            (
                self.repetition_penalty > 0.0 && self.repetition_penalty <= REPETITION_PENALTY_MAX,
                "repetition_penalty",
                "must be above 0, and at most 10",
            ),
            (self.logit_bias.len() <= LOGIT_BIASES_MAX, "logit_bias", "at most 1024 tokens are allowed"),
            (
                self.logit_bias.iter().all(|(_, bias)| (-100.0..=100.0).contains(bias)),
                "logit_bias",
                "a bias must be from -100 to 100",
            ),
            (
                self.top_logprobs.is_none_or(|top| top <= TOP_LOGPROBS_MAX),
                "top_logprobs",
                "must be from 0 to 20",
            ),
            (self.stop.len() <= STOP_SEQUENCES_MAX, "stop", "at most 16 sequences are allowed"),
            (
                self.stop.iter().all(|stop| (1..=STOP_BYTES_MAX).contains(&stop.len())),
                "stop",
                "a sequence must have 1 to 512 bytes",
            ),
        ];
        match checks.into_iter().find(|(holds, _, _)| !holds) {
            None => Ok(()),
            Some((_, parameter, reason)) => {
                Err(EngineError::InvalidRequest { parameter, reason: reason.to_owned() })
            }
        }
    }
}
