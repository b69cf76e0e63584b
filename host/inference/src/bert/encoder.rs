//! The encoder: embeddings, blocks of attention and feed-forward with norms after each, and the mean of what comes out.

use candle_core::{Device, Tensor};
use candle_nn::ops::{layer_norm, softmax_last_dim};

use super::Shape;
use crate::error::ModelError;
use crate::safetensors::TensorReader;

/// The weights, ready to compute with.
#[derive(Debug)]
pub(super) struct Encoder {
    shape: Shape,
    /// `[vocabulary, width]`.
    words: Tensor,
    /// `[tokens_max, width]`, with the first kind of sentence added to each.
    positions: Tensor,
    norm: Norm,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    output_norm: Norm,
}

/// `x · weightᵀ + bias`.
#[derive(Debug)]
struct Linear {
    /// `[inputs, outputs]`, a view of how it is stored.
    weight: Tensor,
    bias: Tensor,
}

#[derive(Debug)]
struct Norm {
    scale: Tensor,
    shift: Tensor,
    epsilon: f32,
}

impl Encoder {
    /// Load the weights; each is checked for its shape before it is read.
    pub(super) fn load(
        tensors: &mut TensorReader,
        shape: Shape,
        tokens_max: usize,
    ) -> Result<Self, ModelError> {
        let mut source = Source::new(tensors);
        let width = shape.width;
        let words = source.tensor("embeddings.word_embeddings.weight", &[shape.vocabulary, width])?;
        let positions = source.tensor("embeddings.position_embeddings.weight", &[shape.positions, width])?;
        let kinds = source.tensor("embeddings.token_type_embeddings.weight", &[shape.kinds, width])?;
        let positions = positions.narrow(0, 0, tokens_max)?.broadcast_add(&kinds.narrow(0, 0, 1)?)?;
        let norm = source.norm("embeddings.LayerNorm", &shape)?;
        let blocks = (0..shape.blocks)
            .map(|index| Block::load(&mut source, &shape, index))
            .collect::<Result<_, _>>()?;
        Ok(Self { shape, words, positions, norm, blocks })
    }

    /// Vectors of texts of 1 to `tokens_max` tokens each.
    pub(super) fn embed(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, ModelError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let ids = texts.concat();
        if ids.iter().any(|id| *id as usize >= self.shape.vocabulary) {
            return Err(ModelError::Compute { reason: "a token is outside the vocabulary".to_owned() });
        }
        let places: Vec<u32> = texts.iter().flat_map(|text| (0..).take(text.len())).collect();
        let count = ids.len();
        let words = self.words.index_select(&Tensor::from_vec(ids, count, &Device::Cpu)?, 0)?;
        let positions = self.positions.index_select(&Tensor::from_vec(places, count, &Device::Cpu)?, 0)?;
        let mut hidden = self.norm.apply(&(words + positions)?)?;
        for block in &self.blocks {
            let attended = self.attend(block, &hidden, texts)?;
            hidden = block.attention_norm.apply(&(hidden + attended)?)?;
            let fed = block.down.apply(&block.up.apply(&hidden)?.gelu_erf()?)?;
            hidden = block.output_norm.apply(&(hidden + fed)?)?;
        }
        pool(&hidden, texts)
    }

    /// Attention of every text over itself.
    fn attend(&self, block: &Block, hidden: &Tensor, texts: &[&[u32]]) -> Result<Tensor, ModelError> {
        let (heads, head_width) = (self.shape.heads, self.shape.head_width());
        let scale = 1.0 / (head_width as f64).sqrt();
        let query = (block.query.apply(hidden)? * scale)?;
        let (key, value) = (block.key.apply(hidden)?, block.value.apply(hidden)?);
        let mut start = 0;
        let mut mixed = Vec::with_capacity(texts.len());
        for text in texts {
            let by_head = |rows: &Tensor| -> candle_core::Result<Tensor> {
                let rows = rows.narrow(0, start, text.len())?;
                rows.reshape((text.len(), heads, head_width))?.transpose(0, 1)?.contiguous()
            };
            let scores = by_head(&query)?.matmul(&by_head(&key)?.transpose(1, 2)?)?;
            let rows = softmax_last_dim(&scores)?.matmul(&by_head(&value)?)?;
            mixed.push(rows.transpose(0, 1)?.reshape((text.len(), self.shape.width))?);
            start += text.len();
        }
        block.attention_output.apply(&Tensor::cat(&mixed, 0)?)
    }
}

impl Block {
    fn load(source: &mut Source<'_>, shape: &Shape, index: usize) -> Result<Self, ModelError> {
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        let (width, feed) = (shape.width, shape.feed_width);
        Ok(Self {
            query: source.linear(&name("attention.self.query"), width, width)?,
            key: source.linear(&name("attention.self.key"), width, width)?,
            value: source.linear(&name("attention.self.value"), width, width)?,
            attention_output: source.linear(&name("attention.output.dense"), width, width)?,
            attention_norm: source.norm(&name("attention.output.LayerNorm"), shape)?,
            up: source.linear(&name("intermediate.dense"), feed, width)?,
            down: source.linear(&name("output.dense"), width, feed)?,
            output_norm: source.norm(&name("output.LayerNorm"), shape)?,
        })
    }
}

impl Linear {
    fn apply(&self, rows: &Tensor) -> Result<Tensor, ModelError> {
        Ok(rows.matmul(&self.weight)?.broadcast_add(&self.bias)?)
    }
}

impl Norm {
    fn apply(&self, rows: &Tensor) -> Result<Tensor, ModelError> {
        Ok(layer_norm(rows, &self.scale, &self.shift, self.epsilon)?)
    }
}

/// The mean of each text's rows, divided by its length.
fn pool(hidden: &Tensor, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, ModelError> {
    let mut start = 0;
    texts
        .iter()
        .map(|text| {
            let mean = hidden.narrow(0, start, text.len())?.mean(0)?.to_vec1::<f32>()?;
            start += text.len();
            let length = mean.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            if !length.is_finite() || length == 0.0 {
                return Err(ModelError::Compute { reason: "a text's vector has no direction".to_owned() });
            }
            Ok(mean.into_iter().map(|x| (f64::from(x) / length) as f32).collect())
        })
        .collect()
}

/// Tensors of a file by the names that transformers' `BertModel` gives, with `bert.` before them where a head was added.
struct Source<'t> {
    tensors: &'t mut TensorReader,
    prefix: &'static str,
}

impl<'t> Source<'t> {
    fn new(tensors: &'t mut TensorReader) -> Self {
        let has_prefix = tensors.header().tensor("bert.embeddings.word_embeddings.weight").is_some();
        Self { tensors, prefix: if has_prefix { "bert." } else { "" } }
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        let values = self.tensors.floats(&format!("{}{name}", self.prefix), shape)?;
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<Linear, ModelError> {
        Ok(Linear {
            weight: self.tensor(&format!("{name}.weight"), &[outputs, inputs])?.t()?,
            bias: self.tensor(&format!("{name}.bias"), &[outputs])?,
        })
    }

    fn norm(&mut self, name: &str, shape: &Shape) -> Result<Norm, ModelError> {
        Ok(Norm {
            scale: self.tensor(&format!("{name}.weight"), &[shape.width])?,
            shift: self.tensor(&format!("{name}.bias"), &[shape.width])?,
            epsilon: shape.norm_epsilon,
        })
    }
}
