//! The llama family: rotary attention with grouped key-value heads, RMS norms, gated feed-forward (Touvron et al.,
//! arXiv:2302.13971), on whatever device the kernels stand for.

mod cache;
mod shape;

use crate::error::ModelError;
use crate::kernels::Kernels;
use crate::tensors::TensorFile;
pub use cache::KvCache;
pub use shape::Shape;

/// The weights, ready to compute with. Sequences share it; each has its own [`KvCache`].
#[derive(Debug)]
pub struct Llama<K: Kernels> {
    shape: Shape,
    embedding: K::Matrix,
    blocks: Vec<Block<K>>,
    output_norm: K::Tensor,
    /// None where scores use the embedding again.
    output: Option<K::Matrix>,
    cos: K::Tensor,
    sin: K::Tensor,
    /// Dropped behind all that is on the device.
    kernels: K,
}

#[derive(Debug)]
struct Block<K: Kernels> {
    attention_norm: K::Tensor,
    query: K::Matrix,
    key: K::Matrix,
    value: K::Matrix,
    attention_output: K::Matrix,
    feed_norm: K::Tensor,
    gate: K::Matrix,
    up: K::Matrix,
    down: K::Matrix,
}

/// One sequence's part in a pass.
#[derive(Debug)]
pub struct Slice<'a, P> {
    /// What the sequence has seen; it will have seen `tokens` too. After an error it must not be used again.
    pub cache: &'a mut KvCache<P>,
    /// What follows.
    pub tokens: &'a [u32],
    /// Whether the scores after the last of them are wanted.
    pub scored: bool,
}

impl<K: Kernels> Llama<K> {
    /// Load the weights; shapes are checked against `shape` before each is read.
    ///
    /// # Errors
    /// [`ModelError::BadTensor`] where a tensor is absent or has another shape, [`ModelError::Io`] where reading fails.
    pub fn load(kernels: K, file: &mut TensorFile, shape: Shape) -> Result<Self, ModelError> {
        let (width, vocabulary) = (shape.width, shape.vocabulary);
        let embedding = file.matrix(&kernels, "token_embd.weight", vocabulary, width)?;
        let output = match file.has("output.weight") {
            true => Some(file.matrix(&kernels, "output.weight", vocabulary, width)?),
            false => None,
        };
        let blocks = (0..shape.blocks)
            .map(|index| Block::load(&kernels, file, &shape, index))
            .collect::<Result<_, _>>()?;
        let factors = frequency_factors(file, &shape)?;
        let (cos, sin) = rotation(&kernels, &shape, &factors)?;
        let output_norm = file.vector(&kernels, "output_norm.weight", width)?;
        Ok(Self { kernels, shape, embedding, blocks, output_norm, output, cos, sin })
    }

    /// The model's dimensions.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// One pass over several sequences: each slice's tokens after what its cache holds. Gives the scores of the slices
    /// that want them, in order, a row of the vocabulary's length each.
    ///
    /// # Errors
    /// [`ModelError::Compute`] for an empty slice, an unknown token, or one past the end of a cache.
    pub fn forward(&self, batch: &mut [Slice<'_, K::Page>]) -> Result<Vec<f32>, ModelError> {
        let Shape { width, feed_width, heads, kv_heads, head_width, norm_epsilon, .. } = self.shape;
        let kernels = &self.kernels;
        let (mut ids, mut positions, mut scored) = (Vec::new(), Vec::new(), Vec::new());
        for slice in batch.iter_mut() {
            if slice.tokens.is_empty() || slice.tokens.iter().any(|id| *id as usize >= self.shape.vocabulary)
            {
                let reason = "no tokens, or one outside the vocabulary".to_owned();
                return Err(ModelError::Compute { reason });
            }
            slice.cache.reserve(kernels, slice.tokens.len())?;
            let start = slice.cache.len() as u32;
            ids.extend_from_slice(slice.tokens);
            positions.extend((0..slice.tokens.len() as u32).map(|at| start + at));
            scored.extend(slice.scored.then(|| ids.len() - 1));
        }
        let rows = ids.len();
        let mut spans: Vec<_> = batch.iter_mut().map(|slice| slice.cache.span(slice.tokens.len())).collect();

        let mut hidden = kernels.tensor(rows, width)?;
        let mut normed = kernels.tensor(rows, width)?;
        let mut query = kernels.tensor(rows, heads * head_width)?;
        let mut key = kernels.tensor(rows, kv_heads * head_width)?;
        let mut value = kernels.tensor(rows, kv_heads * head_width)?;
        let mut attended = kernels.tensor(rows, heads * head_width)?;
        let mut gate = kernels.tensor(rows, feed_width)?;
        let mut up = kernels.tensor(rows, feed_width)?;
        kernels.embed(&self.embedding, &ids, &mut hidden);
        for (index, block) in self.blocks.iter().enumerate() {
            kernels.rms_norm(&hidden, &block.attention_norm, norm_epsilon, &mut normed);
            kernels.linear(
                &normed,
                &mut [(&block.query, &mut query), (&block.key, &mut key), (&block.value, &mut value)],
            );
            kernels.rope(&mut query, &self.cos, &self.sin, &positions);
            kernels.rope(&mut key, &self.cos, &self.sin, &positions);
            kernels.store(&key, &value, index, &mut spans);
            kernels.attend(&query, index, &spans, &mut attended);
            kernels.linear(&attended, &mut [(&block.attention_output, &mut normed)]);
            kernels.add(&mut hidden, &normed);
            kernels.rms_norm(&hidden, &block.feed_norm, norm_epsilon, &mut normed);
            kernels.linear(&normed, &mut [(&block.gate, &mut gate), (&block.up, &mut up)]);
            kernels.swiglu(&mut gate, &up);
            kernels.linear(&gate, &mut [(&block.down, &mut normed)]);
            kernels.add(&mut hidden, &normed);
        }
        drop(spans);
        for slice in batch.iter_mut() {
            slice.cache.advance(slice.tokens.len());
        }
        if scored.is_empty() {
            return Ok(Vec::new());
        }
        let mut last = kernels.tensor(scored.len(), width)?;
        kernels.take_rows(&hidden, &scored, &mut last);
        let mut normed = kernels.tensor(scored.len(), width)?;
        kernels.rms_norm(&last, &self.output_norm, norm_epsilon, &mut normed);
        let mut scores = kernels.tensor(scored.len(), self.shape.vocabulary)?;
        kernels.linear(&normed, &mut [(self.output.as_ref().unwrap_or(&self.embedding), &mut scores)]);
        kernels.read(&scores)
    }
}

impl<K: Kernels> Block<K> {
    fn load(kernels: &K, file: &mut TensorFile, shape: &Shape, index: usize) -> Result<Self, ModelError> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let (width, feed) = (shape.width, shape.feed_width);
        let (query, kv) = (shape.heads * shape.head_width, shape.kv_heads * shape.head_width);
        Ok(Self {
            attention_norm: file.vector(kernels, &name("attn_norm"), width)?,
            query: file.matrix(kernels, &name("attn_q"), query, width)?,
            key: file.matrix(kernels, &name("attn_k"), kv, width)?,
            value: file.matrix(kernels, &name("attn_v"), kv, width)?,
            attention_output: file.matrix(kernels, &name("attn_output"), width, query)?,
            feed_norm: file.vector(kernels, &name("ffn_norm"), width)?,
            gate: file.matrix(kernels, &name("ffn_gate"), feed, width)?,
            up: file.matrix(kernels, &name("ffn_up"), feed, width)?,
            down: file.matrix(kernels, &name("ffn_down"), width, feed)?,
        })
    }
}

/// The factors by which frequencies are divided, from Llama 3.1 on; all 1 where the file has none.
fn frequency_factors(file: &mut TensorFile, shape: &Shape) -> Result<Vec<f32>, ModelError> {
    const NAME: &str = "rope_freqs.weight";
    let half = shape.head_width / 2;
    if !file.has(NAME) {
        return Ok(vec![1.0; half]);
    }
    let factors = file.values(NAME, half)?;
    if !factors.iter().all(|factor| factor.is_finite() && *factor > 0.0) {
        let reason = "one of its factors is not a number above 0".to_owned();
        return Err(ModelError::BadTensor { name: NAME.to_owned(), reason });
    }
    Ok(factors)
}

/// Cosines and sines of every position's rotation: `[context, head_width / 2]` each.
fn rotation<K: Kernels>(
    kernels: &K,
    shape: &Shape,
    factors: &[f32],
) -> Result<(K::Tensor, K::Tensor), ModelError> {
    let half = shape.head_width / 2;
    let frequencies: Vec<f32> = factors
        .iter()
        .enumerate()
        .map(|(pair, factor)| {
            shape.rope_base.powf(-((2 * pair) as f32) / shape.head_width as f32) / factor / shape.rope_scale
        })
        .collect();
    let angles: Vec<f32> = (0..shape.context)
        .flat_map(|position| frequencies.iter().map(move |frequency| position as f32 * frequency))
        .collect();
    let table = |of: fn(f32) -> f32| {
        let values: Vec<f32> = angles.iter().map(|angle| of(*angle)).collect();
        kernels.upload(half, &values)
    };
    Ok((table(f32::cos)?, table(f32::sin)?))
}

/// How exactly a model computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Weights as the file means them, activations and attention cache in 32-bit floats: what other engines are compared
    /// with. Takes four bytes per weight.
    #[default]
    Exact,
    /// Matrices in the integers that the file has, the activations that meet them in blocks of 8-bit integers, and the
    /// attention cache in 16-bit floats: many times faster, in little more memory than the file. Likelihoods stay the same on average, but a greedy answer whose
    /// first candidates are nearly tied may become another one.
    Fast,
}
