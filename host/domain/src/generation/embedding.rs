//! Embeddings.

use super::usage::UsageLine;
use super::{Json, Media, Other};

#[derive(Clone, Debug)]
pub enum EmbeddingInput {
    Text(String),
    /// Already split by the model's own tokenizer.
    Tokens(Vec<u32>),
    Media(Media),
    Other(Other),
}

#[derive(Clone, Debug)]
pub struct EmbeddingRequest {
    pub model: String,
    pub inputs: Vec<EmbeddingInput>,
    pub dimensions: Option<u32>,
    pub end_user: Option<String>,
    pub options: Json,
}

#[derive(Clone, Debug)]
pub struct EmbeddingResponse {
    pub model: String,
    /// One per input, in order.
    pub vectors: Vec<Vec<f32>>,
    pub usage: Vec<UsageLine>,
}
