//! What a caller asks for.

use crate::error::EngineError;

/// Stop sequences of one request.
pub const STOP_SEQUENCES_MAX: usize = 16;
/// Bytes of one stop sequence.
pub const STOP_BYTES_MAX: usize = 512;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions that stand above the conversation.
    System,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
}

impl Role {
    /// The word that chat templates use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said. Control tokens written in it stay plain text: they cannot end a turn or forge another.
    pub text: String,
}

impl Message {
    /// A turn of the conversation.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self { role, text: text.into() }
    }

    /// A system turn.
    pub fn system(text: impl Into<String>) -> Self {
        Self::new(Role::System, text)
    }

    /// A user's turn.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, text)
    }

    /// A turn of the model.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, text)
    }
}

impl<T: Into<String>> From<(Role, T)> for Message {
    fn from((role, text): (Role, T)) -> Self {
        Self::new(role, text)
    }
}

/// A conversation to continue, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    /// The conversation so far; at least one turn.
    pub messages: Vec<Message>,
    /// Tokens to generate at most; `None` for as many as the context holds.
    pub max_tokens: Option<u32>,
    /// 0 takes the likeliest token every time (and is deterministic); higher is more varied. 0 to 2.
    pub temperature: f32,
    /// Draw from the likeliest tokens that together have this probability. Above 0, to 1.
    pub top_p: f32,
    /// The same seed, request and model give the same answer; `None` draws one.
    pub seed: Option<u64>,
    /// Texts that end the answer and are not part of it; at most 16 of at most 512 bytes.
    pub stop: Vec<String>,
    /// Lowers the chance of a token by this much per time that it was generated. -2 to 2.
    pub frequency_penalty: f32,
    /// Lowers the chance of a token that was generated at all by this much. -2 to 2.
    pub presence_penalty: f32,
}

impl ChatRequest {
    /// A greedy request without limits of its own.
    pub fn new(messages: impl IntoIterator<Item = impl Into<Message>>) -> Self {
        Self {
            messages: messages.into_iter().map(Into::into).collect(),
            max_tokens: None,
            temperature: 0.0,
            top_p: 1.0,
            seed: None,
            stop: Vec::new(),
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
        }
    }

    /// Generate at most this many tokens.
    pub fn with_max_tokens(mut self, max_tokens: u32) -> Self {
        self.max_tokens = Some(max_tokens);
        self
    }

    /// Sample at this temperature, from this seed.
    pub fn with_sampling(mut self, temperature: f32, top_p: f32, seed: u64) -> Self {
        (self.temperature, self.top_p, self.seed) = (temperature, top_p, Some(seed));
        self
    }

    /// End the answer at any of these texts.
    pub fn with_stop(mut self, stop: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.stop = stop.into_iter().map(Into::into).collect();
        self
    }

    /// Bytes of text in all messages.
    pub fn text_bytes(&self) -> usize {
        self.messages.iter().map(|message| message.text.len()).sum()
    }

    /// Check every parameter's range.
    ///
    /// # Errors
    /// [`EngineError::InvalidRequest`] names the first parameter out of range.
    pub fn validate(&self) -> Result<(), EngineError> {
        let refuse = |parameter, reason: &str| {
            Err(EngineError::InvalidRequest { parameter, reason: reason.to_owned() })
        };
        if self.messages.is_empty() {
            return refuse("messages", "at least one message is needed");
        }
        if self.max_tokens == Some(0) {
            return refuse("max_tokens", "must be at least 1");
        }
        if !(0.0..=2.0).contains(&self.temperature) {
            return refuse("temperature", "must be from 0 to 2");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return refuse("top_p", "must be above 0, and at most 1");
        }
        if !(-2.0..=2.0).contains(&self.frequency_penalty) {
            return refuse("frequency_penalty", "must be from -2 to 2");
        }
        if !(-2.0..=2.0).contains(&self.presence_penalty) {
            return refuse("presence_penalty", "must be from -2 to 2");
        }
        if self.stop.len() > STOP_SEQUENCES_MAX {
            return refuse("stop", "at most 16 sequences are allowed");
        }
        if self.stop.iter().any(|stop| stop.is_empty() || stop.len() > STOP_BYTES_MAX) {
            return refuse("stop", "a sequence must have 1 to 512 bytes");
        }
        Ok(())
    }
}
