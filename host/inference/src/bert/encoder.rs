//! The encoder: embeddings, blocks of attention and feed-forward with norms after each, and the mean of what comes out.

use super::Shape;
use crate::error::ModelError;
use crate::kernels::Kernels;
use crate::layers::{Linear, Norm, matrix};
use crate::safetensors::TensorReader;

/// The weights, ready to compute with.
#[derive(Debug)]
pub(super) struct Encoder<K: Kernels> {
    kernels: K,
    shape: Shape,
    /// `[vocabulary, width]`.
    words: K::Matrix,
    /// `[tokens_max, width]`, with the first kind of sentence added to each.
    positions: K::Matrix,
    norm: Norm<K>,
    blocks: Vec<Block<K>>,
}

#[derive(Debug)]
struct Block<K: Kernels> {
    query: Linear<K>,
    key: Linear<K>,
    value: Linear<K>,
    attention_output: Linear<K>,
    attention_norm: Norm<K>,
    up: Linear<K>,
    down: Linear<K>,
    output_norm: Norm<K>,
}

/// What a pack computes in: taken once, used by every block.
struct Buffers<K: Kernels> {
    hidden: K::Tensor,
    query: K::Tensor,
    key: K::Tensor,
    value: K::Tensor,
    mixed: K::Tensor,
    feed: K::Tensor,
}

impl<K: Kernels> Encoder<K> {
    /// Load the weights; each is checked for its shape before it is read.
    pub(super) fn load(
        kernels: K,
        tensors: &mut TensorReader,
        shape: Shape,
        tokens_max: usize,
    ) -> Result<Self, ModelError> {
        let mut source = Source::new(&kernels, tensors);
        let width = shape.width;
        let words = source.matrix("embeddings.word_embeddings.weight", shape.vocabulary, width)?;
        let mut positions =
            source.floats("embeddings.position_embeddings.weight", &[shape.positions, width])?;
        let kinds = source.floats("embeddings.token_type_embeddings.weight", &[shape.kinds, width])?;
        positions.truncate(tokens_max * width);
        for row in positions.chunks_exact_mut(width) {
            row.iter_mut().zip(&kinds).for_each(|(place, kind)| *place += kind);
        }
        let positions = matrix(&kernels, &positions, tokens_max, width)?;
        let norm = source.norm("embeddings.LayerNorm", &shape)?;
        let blocks = (0..shape.blocks)
            .map(|index| Block::load(&mut source, &shape, index))
            .collect::<Result<_, _>>()?;
        Ok(Self { kernels, shape, words, positions, norm, blocks })
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
        let lengths: Vec<usize> = texts.iter().map(|text| text.len()).collect();
        let mut buffers = self.buffers(ids.len())?;
        self.kernels.embed(&self.words, &ids, &mut buffers.mixed);
        self.kernels.embed(&self.positions, &places, &mut buffers.query);
        self.kernels.add(&mut buffers.mixed, &buffers.query);
        self.norm.apply(&self.kernels, &buffers.mixed, &mut buffers.hidden);
        for block in &self.blocks {
            self.pass(block, &lengths, &mut buffers);
        }
        pool(&self.kernels.read(&buffers.hidden)?, self.shape.width, &lengths)
    }

    fn buffers(&self, rows: usize) -> Result<Buffers<K>, ModelError> {
        let tensor = |width| self.kernels.tensor(rows, width);
        let width = self.shape.width;
        Ok(Buffers {
            hidden: tensor(width)?,
            query: tensor(width)?,
            key: tensor(width)?,
            value: tensor(width)?,
            mixed: tensor(width)?,
            feed: tensor(self.shape.feed_width)?,
        })
    }

    /// One block: `hidden` becomes what it makes of it.
    fn pass(&self, block: &Block<K>, lengths: &[usize], buffers: &mut Buffers<K>) {
        let Buffers { hidden, query, key, value, mixed, feed } = buffers;
        let (k, heads) = (&self.kernels, self.shape.heads);
        k.linear(
            hidden,
            &mut [
                (&block.query.weight, &mut *query),
                (&block.key.weight, &mut *key),
                (&block.value.weight, &mut *value),
            ],
        );
        k.add_bias(query, &block.query.bias);
        k.add_bias(key, &block.key.bias);
        k.add_bias(value, &block.value.bias);
        k.attend_all(query, key, value, heads, lengths, mixed);
        block.attention_output.apply(k, mixed, query);
        k.add(query, hidden);
        block.attention_norm.apply(k, query, hidden);
        block.up.apply(k, hidden, feed);
        k.gelu(feed);
        block.down.apply(k, feed, query);
        k.add(query, hidden);
        block.output_norm.apply(k, query, hidden);
    }
}

impl<K: Kernels> Block<K> {
    fn load(source: &mut Source<'_, K>, shape: &Shape, index: usize) -> Result<Self, ModelError> {
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

/// The mean of each text's rows, divided by its length.
fn pool(hidden: &[f32], width: usize, lengths: &[usize]) -> Result<Vec<Vec<f32>>, ModelError> {
    let mut rows = hidden.chunks_exact(width);
    lengths
        .iter()
        .map(|length| {
            let mut sum = vec![0.0_f64; width];
            for row in rows.by_ref().take(*length) {
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
            }
            // The mean's length is the sum's but for the number of rows, which cancels.
            let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
            if !length.is_finite() || length == 0.0 {
                return Err(ModelError::Compute { reason: "a text's vector has no direction".to_owned() });
            }
            Ok(sum.into_iter().map(|x| (x / length) as f32).collect())
        })
        .collect()
}

/// Tensors of a file by the names that transformers' `BertModel` gives, with `bert.` before them where a head was added.
struct Source<'t, K> {
    kernels: &'t K,
    tensors: &'t mut TensorReader,
    prefix: &'static str,
}

impl<'t, K: Kernels> Source<'t, K> {
    fn new(kernels: &'t K, tensors: &'t mut TensorReader) -> Self {
        let has_prefix = tensors.header().tensor("bert.embeddings.word_embeddings.weight").is_some();
        Self { kernels, tensors, prefix: if has_prefix { "bert." } else { "" } }
    }

    fn floats(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        self.tensors.floats(&format!("{}{name}", self.prefix), shape)
    }

    fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<K::Matrix, ModelError> {
        let values = self.floats(name, &[rows, columns])?;
        matrix(self.kernels, &values, rows, columns)
    }

    fn row(&mut self, name: &str, width: usize) -> Result<K::Tensor, ModelError> {
        let values = self.floats(name, &[width])?;
        self.kernels.upload(width, &values)
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<Linear<K>, ModelError> {
        Ok(Linear {
            weight: self.matrix(&format!("{name}.weight"), outputs, inputs)?,
            bias: self.row(&format!("{name}.bias"), outputs)?,
        })
    }

    fn norm(&mut self, name: &str, shape: &Shape) -> Result<Norm<K>, ModelError> {
        Ok(Norm {
            scale: self.row(&format!("{name}.weight"), shape.width)?,
            shift: self.row(&format!("{name}.bias"), shape.width)?,
            epsilon: shape.norm_epsilon,
        })
    }
}
