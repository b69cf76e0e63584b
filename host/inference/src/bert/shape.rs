//! The dimensions of a BERT encoder, from its `config.json`.

use serde::Deserialize;

use crate::dimension::{bad, bounded};
use crate::error::ModelError;
use crate::folder::parse;

/// Largest width of anything: far above today's encoders, far below what would overflow a product of two.
const WIDTH_MAX: usize = 1 << 16;
const BLOCKS_MAX: usize = 256;
const POSITIONS_MAX: usize = 1 << 15;
const VOCABULARY_MAX: usize = 1 << 22;

/// Dimensions and constants.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Transformer blocks.
    pub blocks: usize,
    /// Width of the hidden state, and of a text's vector.
    pub width: usize,
    /// Width inside the feed-forward part.
    pub feed_width: usize,
    /// Attention heads; divides `width`.
    pub heads: usize,
    /// Positions that have an embedding.
    pub positions: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Kinds of sentence that have an embedding; all texts are of the first.
    pub kinds: usize,
    /// What the norms add to the variance.
    pub norm_epsilon: f32,
}

/// The names are those of transformers' `BertConfig`; what is not read here changes no answer.
#[derive(Deserialize)]
struct Config {
    model_type: String,
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    vocab_size: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default = "usual_epsilon")]
    layer_norm_eps: f64,
}

fn absolute() -> String {
    "absolute".to_owned()
}

fn two() -> usize {
    2
}

fn usual_epsilon() -> f64 {
    1e-12
}

impl Shape {
    /// Read and check the dimensions.
    ///
    /// # Errors
    /// [`ModelError::BadMetadata`] names the key; [`ModelError::Unsupported`] another family, activation or kind of
    /// position.
    pub fn from_json(text: &[u8]) -> Result<Self, ModelError> {
        let config: Config = parse("config.json", text)?;
        supported("model family", &config.model_type, "bert")?;
        supported("activation", &config.hidden_act, "gelu")?;
        supported("kind of position", &config.position_embedding_type, "absolute")?;
        let epsilon = config.layer_norm_eps;
        if !(epsilon > 0.0 && epsilon < 1.0) {
            return Err(bad("layer_norm_eps", epsilon, "it is not between 0 and 1"));
        }
        let shape = Self {
            blocks: bounded("num_hidden_layers", config.num_hidden_layers, BLOCKS_MAX)?,
            width: bounded("hidden_size", config.hidden_size, WIDTH_MAX)?,
            feed_width: bounded("intermediate_size", config.intermediate_size, WIDTH_MAX)?,
            heads: bounded("num_attention_heads", config.num_attention_heads, WIDTH_MAX)?,
            positions: bounded("max_position_embeddings", config.max_position_embeddings, POSITIONS_MAX)?,
            vocabulary: bounded("vocab_size", config.vocab_size, VOCABULARY_MAX)?,
            kinds: bounded("type_vocab_size", config.type_vocab_size, VOCABULARY_MAX)?,
            norm_epsilon: epsilon as f32,
        };
        if !shape.width.is_multiple_of(shape.heads) {
            return Err(bad("num_attention_heads", shape.heads, "the width does not divide into heads"));
        }
        Ok(shape)
    }

    /// Width of one head.
    pub fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// Weights, counted singly. No overflow: every dimension is bounded.
    pub fn parameters(&self) -> u64 {
        let [width, feed] = [self.width as u64, self.feed_width as u64];
        let rows = (self.vocabulary + self.positions + self.kinds + 2) as u64;
        let block = 4 * width * (width + 1) + feed * (width + 1) + width * (feed + 1) + 4 * width;
        rows * width + self.blocks as u64 * block
    }
}

fn supported(what: &'static str, found: &str, known: &'static str) -> Result<(), ModelError> {
    if found == known {
        return Ok(());
    }
    Err(ModelError::Unsupported { what, found: found.chars().take(64).collect(), known })
}
