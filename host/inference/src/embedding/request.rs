//! What is asked for, and what comes back.

use crate::error::EngineError;

/// Bytes of one text that are read at all, cut or not: far more than the tokens of any such model have.
pub const TEXT_BYTES_MAX: usize = 128 << 10;

/// One text to embed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmbeddingInput {
    /// A text, which the model's tokenizer splits.
    Text(String),
    /// Tokens of the model's own vocabulary, with the marks that begin and end a text or without.
    Tokens(Vec<u32>),
}

/// Texts to embed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingRequest {
    /// The texts; none may be empty.
    pub inputs: Vec<EmbeddingInput>,
    /// Whether a text longer than the model reads is cut to its first tokens. Otherwise it is refused.
    pub truncate: bool,
}

/// A vector for each input, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// Of length 1 each: the dot product of two is their cosine.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens that the model read, the marks of every text included.
    pub tokens: usize,
}

impl EmbeddingRequest {
    /// Texts; one that is too long is refused.
    pub fn new<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        let inputs = texts.into_iter().map(|text| EmbeddingInput::Text(text.into())).collect();
        Self { inputs, truncate: false }
    }

    /// The same, with long texts cut.
    pub fn truncated(mut self) -> Self {
        self.truncate = true;
        self
    }

    /// Bytes of everything that is asked for.
    pub(super) fn bytes(&self) -> usize {
        let bytes = self.inputs.iter().map(|input| match input {
            EmbeddingInput::Text(text) => text.len(),
            EmbeddingInput::Tokens(ids) => size_of_val(ids.as_slice()),
        });
        bytes.fold(0, usize::saturating_add)
    }

    pub(super) fn validate(&self, inputs_max: usize, bytes_max: usize) -> Result<(), EngineError> {
        if self.inputs.is_empty() || self.inputs.len() > inputs_max {
            return Err(invalid(format!("there are {} inputs, not 1 to {inputs_max}", self.inputs.len())));
        }
        let is_empty = |input: &EmbeddingInput| match input {
            EmbeddingInput::Text(text) => text.is_empty(),
            EmbeddingInput::Tokens(ids) => ids.is_empty(),
        };
        if let Some(index) = self.inputs.iter().position(is_empty) {
            return Err(invalid(format!("input[{index}] is empty")));
        }
        let long = |input: &EmbeddingInput| matches!(input, EmbeddingInput::Text(text) if text.len() > TEXT_BYTES_MAX);
        if let Some(index) = self.inputs.iter().position(long) {
            return Err(invalid(format!("input[{index}] has more than {TEXT_BYTES_MAX} bytes")));
        }
        let bytes = self.bytes();
        if bytes > bytes_max {
            return Err(EngineError::InputsTooLarge { bytes, bytes_max });
        }
        Ok(())
    }
}

pub(super) fn invalid(reason: String) -> EngineError {
    EngineError::InvalidRequest { parameter: "input", reason }
}
