//! The decoder: text from what the encoder heard.

use super::attention::{Asked, Attention};
use super::encoder::Feed;
use super::shape::Shape;
use super::weights::Weights;
use crate::error::ModelError;
use crate::kernels::audio::AudioKernels;
use crate::kernels::{Kernels, PAGE_TOKENS, Span};
use crate::layers::{Linear, Norm};

/// The weights, ready to compute with.
#[derive(Debug)]
pub(super) struct Decoder<K: Kernels> {
    shape: Shape,
    /// `[vocabulary, width]`, with which tokens go in and come out.
    words: K::Matrix,
    /// `[positions, width]`.
    positions: K::Matrix,
    blocks: Vec<Block<K>>,
    norm: Norm<K>,
}

#[derive(Debug)]
struct Block<K: Kernels> {
    attention: Attention<K>,
    across_norm: Norm<K>,
    across_query: Linear<K>,
    across_key: Linear<K>,
    across_value: Linear<K>,
    across_output: Linear<K>,
    feed: Feed<K>,
}

/// What was heard in a window, and the tokens that were read and written of it.
#[derive(Debug)]
pub(super) struct Window<K: Kernels> {
    /// Keys and values of the window's moments.
    heard: Vec<K::Page>,
    /// Keys and values of the tokens.
    pages: Vec<K::Page>,
    len: usize,
}

impl<K: Kernels> Window<K> {
    /// Forget the tokens behind the first `len`.
    pub(super) fn cut(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

/// Heads of blocks whose attention follows the sound, as `(block, head)`.
pub(super) type Heads = [(usize, usize)];

impl<K: AudioKernels> Decoder<K> {
    pub(super) fn load(weights: &mut Weights<'_, K>, shape: Shape) -> Result<Self, ModelError> {
        let width = shape.width;
        Ok(Self {
            words: weights.matrix("decoder/embeddings/weight", shape.vocabulary, width)?,
            positions: weights.matrix("decoder/position_encodings/encodings", shape.positions, width)?,
            blocks: (0..shape.decoder_blocks)
                .map(|index| Block::load(weights, &shape, index))
                .collect::<Result<_, _>>()?,
            norm: weights.norm("decoder/layer_norm", width)?,
            shape,
        })
    }

    /// Listen to what the encoder heard.
    pub(super) fn window(&self, k: &K, heard: &K::Tensor) -> Result<Window<K>, ModelError> {
        let Shape { moments, width, positions, .. } = self.shape;
        let pages = |count: usize| {
            (0..count.div_ceil(PAGE_TOKENS)).map(|_| k.page(self.shape.page())).collect::<Result<Vec<_>, _>>()
        };
        let mut window = Window { heard: pages(moments)?, pages: pages(positions)?, len: 0 };
        let (mut key, mut value) = (k.tensor(moments, width)?, k.tensor(moments, width)?);
        for (index, block) in self.blocks.iter().enumerate() {
            k.linear(
                heard,
                &mut [(&block.across_key.weight, &mut key), (&block.across_value.weight, &mut value)],
            );
            k.add_bias(&mut key, &block.across_key.bias);
            k.add_bias(&mut value, &block.across_value.bias);
            let spans = &mut [Span { shared: &[], pages: &mut window.heard, start: 0, count: moments }];
            k.store(&key, &value, index, spans);
        }
        Ok(window)
    }

    /// Read `tokens` behind those that `window` has, and give a row of scores for what may follow each of the last `rows` of
    /// them. Where `heads` are asked for, also how much of its attention each token gives to each of the first `moments`, head after head.
    pub(super) fn read(
        &self,
        k: &K,
        window: &mut Window<K>,
        tokens: &[u32],
        rows: usize,
        followed_by: Option<(&Heads, usize)>,
    ) -> Result<(Vec<f32>, Vec<Vec<f32>>), ModelError> {
        let (count, start) = (tokens.len(), window.len);
        if count == 0 || start + count > self.shape.positions {
            let reason =
                format!("{} tokens are more than the window's {}", start + count, self.shape.positions);
            return Err(ModelError::Compute { reason });
        }
        let Shape { width, moments, .. } = self.shape;
        let places: Vec<u32> = (start..start + count).map(|place| place as u32).collect();
        let mut hidden = k.tensor(count, width)?;
        let mut normal = k.tensor(count, width)?;
        k.embed(&self.words, tokens, &mut hidden);
        k.embed(&self.positions, &places, &mut normal);
        k.add(&mut hidden, &normal);
        let mut asked = Asked::new(k, count, width)?;
        let mut wide = k.tensor(count, self.shape.feed_width)?;
        let mut followed = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            block.attention.ask(k, &hidden, &mut normal, &mut asked);
            let Asked { query, key, value } = &mut asked;
            let spans = &mut [Span { shared: &[], pages: &mut window.pages, start, count }];
            k.store(key, value, index, spans);
            k.attend(query, index, spans, &mut normal);
            block.attention.add(k, &normal, query, &mut hidden);

            block.across_norm.apply(k, &hidden, &mut normal);
            block.across_query.apply(k, &normal, query);
            if let Some((heads, moments)) = followed_by {
                for (_, head) in heads.iter().filter(|(block, _)| *block == index) {
                    let mut given = k.tensor(count, moments)?;
                    k.attention_across(query, index, *head, &window.heard, &mut given);
                    followed.push(k.read(&given)?);
                }
            }
            k.attend_across(query, index, &window.heard, moments, &mut normal);
            block.across_output.apply(k, &normal, query);
            k.add(&mut hidden, query);
            block.feed.apply(k, &mut hidden, &mut normal, &mut wide);
        }
        window.len += count;
        let rows = rows.min(count);
        if rows == 0 {
            return Ok((Vec::new(), followed));
        }
        let mut last = k.tensor(rows, width)?;
        k.take_rows(&hidden, &(count - rows..count).collect::<Vec<_>>(), &mut last);
        let mut normal = k.tensor(rows, width)?;
        self.norm.apply(k, &last, &mut normal);
        let mut scores = k.tensor(rows, self.shape.vocabulary)?;
        k.linear(&normal, &mut [(&self.words, &mut scores)]);
        Ok((k.read(&scores)?, followed))
    }
}

impl<K: Kernels> Block<K> {
    fn load(weights: &mut Weights<'_, K>, shape: &Shape, index: usize) -> Result<Self, ModelError> {
        let name = format!("decoder/layer_{index}");
        let width = shape.width;
        let attention = Attention::load(weights, &format!("{name}/self_attention"), width)?;
        let across_norm = weights.norm(&format!("{name}/attention/layer_norm"), width)?;
        let across_query = weights.linear(&format!("{name}/attention/linear_0"), width, width)?;
        let [across_key, across_value] =
            weights.stacked(&format!("{name}/attention/linear_1"), width, width)?;
        Ok(Self {
            attention,
            across_norm,
            across_query,
            across_key,
            across_value,
            across_output: weights.linear(&format!("{name}/attention/linear_2"), width, width)?,
            feed: Feed::load(weights, &format!("{name}/ffn"), shape)?,
        })
    }
}
