//! The llama family on the CPU: rotary attention with grouped key-value heads, RMS norms, gated feed-forward.

mod cache;
mod shape;

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module, Tensor};
use candle_nn::ops::{rms_norm, silu, softmax_last_dim};
use candle_nn::rotary_emb::rope_i;

use crate::error::ModelError;
use crate::tensors::TensorFile;
pub use cache::KvCache;
pub use shape::Shape;

/// The weights, ready to compute with. Sequences share it; each has its own [`KvCache`].
#[derive(Debug)]
pub struct Llama {
    shape: Shape,
    embedding: Arc<QTensor>,
    blocks: Vec<Block>,
    output_norm: Tensor,
    output: QMatMul,
    cos: Tensor,
    sin: Tensor,
}

#[derive(Debug)]
struct Block {
    attention_norm: Tensor,
    query: QMatMul,
    key: QMatMul,
    value: QMatMul,
    attention_output: QMatMul,
    feed_norm: Tensor,
    gate: QMatMul,
    up: QMatMul,
    down: QMatMul,
}

impl Llama {
    /// Load the weights; shapes are checked against `shape` before each is read.
    ///
    /// # Errors
    /// [`ModelError::BadTensor`] where a tensor is absent or has another shape, [`ModelError::Io`] where reading fails.
    pub fn load(file: &mut TensorFile, shape: Shape) -> Result<Self, ModelError> {
        let width = shape.width;
        let embedding = Arc::new(file.quantized("token_embd.weight", &[shape.vocabulary, width])?);
        let output = match file.has("output.weight") {
            true => file.matrix("output.weight", shape.vocabulary, width)?,
            false => file.hold(&embedding)?, // tied: scores use the embedding again
        };
        let blocks =
            (0..shape.blocks).map(|index| Block::load(file, &shape, index)).collect::<Result<_, _>>()?;
        let (cos, sin) = rotation(&shape)?;
        let output_norm = file.vector("output_norm.weight", width)?;
        Ok(Self { shape, embedding, blocks, output_norm, output, cos, sin })
    }

    /// The model's dimensions.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Run `tokens` through the model after what `cache` holds, and give the scores for the token that follows the
    /// last of them. `cache` then holds `tokens` too; after an error it must not be used again.
    ///
    /// # Errors
    /// [`ModelError::Compute`] for an empty run, an unknown token, or one past the end of the context.
    pub fn forward(&self, tokens: &[u32], cache: &mut KvCache) -> Result<Tensor, ModelError> {
        let start = cache.len();
        let refuse = |reason: &str| Err(ModelError::Compute { reason: reason.to_owned() });
        if tokens.is_empty() || tokens.iter().any(|token| *token as usize >= self.shape.vocabulary) {
            return refuse("no tokens, or one outside the vocabulary");
        }
        if start + tokens.len() > self.shape.context {
            return refuse("the context is full");
        }
        cache.reserve(tokens.len())?;
        let ids = Tensor::new(tokens, &Device::Cpu)?;
        let cos = self.cos.narrow(0, start, tokens.len())?;
        let sin = self.sin.narrow(0, start, tokens.len())?;
        let mask = causal_mask(start, tokens.len())?;
        let mut hidden = self.embedding.embedding(&ids)?;
        for (index, block) in self.blocks.iter().enumerate() {
            let normed = rms_norm(&hidden, &block.attention_norm, self.shape.norm_epsilon)?;
            let attended = self.attend(block, &normed, (&cos, &sin), mask.as_ref(), cache, index)?;
            hidden = (hidden + attended)?;
            let normed = rms_norm(&hidden, &block.feed_norm, self.shape.norm_epsilon)?;
            let gated = (silu(&block.gate.forward(&normed)?)? * block.up.forward(&normed)?)?;
            hidden = (hidden + block.down.forward(&gated)?)?;
        }
        cache.advance(tokens.len());
        let last = hidden.narrow(0, tokens.len() - 1, 1)?;
        let last = rms_norm(&last.contiguous()?, &self.output_norm, self.shape.norm_epsilon)?;
        Ok(self.output.forward(&last)?.flatten_all()?)
    }

    /// Attention of `normed`, one row per token, over the cache and itself.
    fn attend(
        &self,
        block: &Block,
        normed: &Tensor,
        (cos, sin): (&Tensor, &Tensor),
        mask: Option<&Tensor>,
        cache: &mut KvCache,
        index: usize,
    ) -> Result<Tensor, ModelError> {
        let Shape { heads, kv_heads, head_width, .. } = self.shape;
        let count = normed.dim(0)?;
        let by_head = |rows: Tensor, heads: usize| -> candle_core::Result<Tensor> {
            rows.reshape((1, count, heads, head_width))?.transpose(1, 2)?.contiguous()
        };
        let query = rope_i(&by_head(block.query.forward(normed)?, heads)?, cos, sin)?;
        let key = rope_i(&by_head(block.key.forward(normed)?, kv_heads)?, cos, sin)?;
        let value = by_head(block.value.forward(normed)?, kv_heads)?;
        let (keys, values) = cache.append(index, &key.squeeze(0)?, &value.squeeze(0)?)?;

        // Query heads that share a key head are stacked as rows, so keys and values are never repeated in memory.
        let group = heads / kv_heads;
        let scale = 1.0 / (head_width as f64).sqrt();
        let query = (query.reshape((kv_heads, group * count, head_width))? * scale)?;
        let scores = query.matmul(&keys.transpose(1, 2)?)?;
        let length = keys.dim(1)?;
        let scores = match mask {
            Some(mask) => scores.reshape((heads, count, length))?.broadcast_add(mask)?,
            None => scores,
        };
        let weights = softmax_last_dim(&scores)?.reshape((kv_heads, group * count, length))?;
        let mixed = weights.matmul(&values)?.reshape((heads, count, head_width))?;
        let mixed = mixed.transpose(0, 1)?.reshape((count, heads * head_width))?;
        Ok(block.attention_output.forward(&mixed)?)
    }
}

impl Block {
    fn load(file: &mut TensorFile, shape: &Shape, index: usize) -> Result<Self, ModelError> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let (width, feed) = (shape.width, shape.feed_width);
        let (query, kv) = (shape.heads * shape.head_width, shape.kv_heads * shape.head_width);
        Ok(Self {
            attention_norm: file.vector(&name("attn_norm"), width)?,
            query: file.matrix(&name("attn_q"), query, width)?,
            key: file.matrix(&name("attn_k"), kv, width)?,
            value: file.matrix(&name("attn_v"), kv, width)?,
            attention_output: file.matrix(&name("attn_output"), width, query)?,
            feed_norm: file.vector(&name("ffn_norm"), width)?,
            gate: file.matrix(&name("ffn_gate"), feed, width)?,
            up: file.matrix(&name("ffn_up"), feed, width)?,
            down: file.matrix(&name("ffn_down"), width, feed)?,
        })
    }
}

/// Cosines and sines of every position's rotation: `[context, head_width / 2]` each.
fn rotation(shape: &Shape) -> Result<(Tensor, Tensor), ModelError> {
    let half = shape.head_width / 2;
    let frequencies: Vec<f32> =
        (0..half).map(|pair| shape.rope_base.powf(-((2 * pair) as f32) / shape.head_width as f32)).collect();
    let frequencies = Tensor::from_vec(frequencies, (1, half), &Device::Cpu)?;
    let positions = Tensor::arange(0, shape.context as u32, &Device::Cpu)?
        .to_dtype(candle_core::DType::F32)?
        .reshape((shape.context, 1))?;
    let angles = positions.matmul(&frequencies)?;
    Ok((angles.cos()?, angles.sin()?))
}

/// `[count, start + count]`: minus infinity where a token would see a later one. One token sees everything.
fn causal_mask(start: usize, count: usize) -> Result<Option<Tensor>, ModelError> {
    if count == 1 {
        return Ok(None);
    }
    let mut mask = Vec::with_capacity(count * (start + count));
    for row in 0..count {
        mask.extend(std::iter::repeat_n(0.0_f32, start + row + 1));
        mask.extend(std::iter::repeat_n(f32::NEG_INFINITY, count - row - 1));
    }
    Ok(Some(Tensor::from_vec(mask, (count, start + count), &Device::Cpu)?))
}

/// How exactly a model computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Weights as the file means them and activations in 32-bit floats: what other engines are compared with. Takes
    /// four bytes per weight.
    #[default]
    Exact,
    /// Matrices and the activations that meet them in blocks of 8-bit integers: a quarter of the memory. Likelihoods
    /// stay the same on average, but a greedy answer whose first candidates are nearly tied may become another one.
    Fast,
}

/// How a matrix is held in memory, by how it is stored.
///
/// candle has vector kernels for 8-bit blocks but only scalar code for Q4_1, Q5_0 and Q5_1: where speed is wanted, those
/// are re-encoded as Q8_0.
pub fn held_as(stored: GgmlDType, precision: Precision) -> GgmlDType {
    match (precision, stored) {
        (Precision::Exact, _) | (_, GgmlDType::F16 | GgmlDType::BF16) => GgmlDType::F32,
        (_, GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1) => GgmlDType::Q8_0,
        (_, other) => other,
    }
}
