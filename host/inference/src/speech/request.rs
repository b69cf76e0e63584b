//! What is asked for.

use crate::error::EngineError;

/// The slowest.
pub const SPEED_MIN: f32 = 0.25;
/// The fastest.
pub const SPEED_MAX: f32 = 4.0;

/// A text to speak.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeechRequest {
    /// What is said.
    pub text: String,
    /// A multiple of the voice's natural speed, from [`SPEED_MIN`] to [`SPEED_MAX`].
    pub speed: f32,
    /// Which of the voice's speakers, from 0.
    pub speaker: usize,
}

impl SpeechRequest {
    /// A text at natural speed by the first speaker.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), speed: 1.0, speaker: 0 }
    }

    /// The same at another speed.
    pub fn with_speed(mut self, speed: f32) -> Self {
        self.speed = speed;
        self
    }

    pub(super) fn validate(&self, bytes_max: usize) -> Result<(), EngineError> {
        let bytes = self.text.len();
        if bytes > bytes_max {
            return Err(EngineError::InputsTooLarge { bytes, bytes_max });
        }
        if self.text.trim().is_empty() {
            return Err(invalid("input", "it is empty".to_owned()));
        }
        if !(SPEED_MIN..=SPEED_MAX).contains(&self.speed) {
            return Err(invalid("speed", format!("it is not from {SPEED_MIN} to {SPEED_MAX}")));
        }
        Ok(())
    }

    pub(super) fn validate_speaker(&self, speakers: usize) -> Result<(), EngineError> {
        if self.speaker < speakers {
            return Ok(());
        }
        Err(invalid("speaker", format!("the voice has {speakers}, numbered from 0")))
    }
}

pub(super) fn invalid(parameter: &'static str, reason: String) -> EngineError {
    EngineError::InvalidRequest { parameter, reason }
}
