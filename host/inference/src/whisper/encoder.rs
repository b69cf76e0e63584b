//! The encoder: two convolutions along time, then blocks of attention and feed-forward with a norm before each.

use super::attention::{Asked, Attention};
use super::shape::{FRAMES_PER_MOMENT, Shape, TAPS};
use super::weights::Weights;
use crate::error::ModelError;
use crate::kernels::Kernels;
use crate::kernels::audio::AudioKernels;
use crate::layers::{Linear, Norm};

/// The weights, ready to compute with.
#[derive(Debug)]
pub(super) struct Encoder<K: Kernels> {
    shape: Shape,
    first: Linear<K>,
    second: Linear<K>,
    /// `[moments, width]`.
    positions: K::Tensor,
    blocks: Vec<Block<K>>,
    norm: Norm<K>,
}

#[derive(Debug)]
struct Block<K: Kernels> {
    attention: Attention<K>,
    feed: Feed<K>,
}

/// The feed-forward part of a block, which the decoder's have too.
#[derive(Debug)]
pub(super) struct Feed<K: Kernels> {
    norm: Norm<K>,
    up: Linear<K>,
    down: Linear<K>,
}

impl<K: Kernels> Feed<K> {
    pub(super) fn load(weights: &mut Weights<'_, K>, name: &str, shape: &Shape) -> Result<Self, ModelError> {
        let (width, feed) = (shape.width, shape.feed_width);
        Ok(Self {
            norm: weights.norm(&format!("{name}/layer_norm"), width)?,
            up: weights.linear(&format!("{name}/linear_0"), feed, width)?,
            down: weights.linear(&format!("{name}/linear_1"), width, feed)?,
        })
    }

    /// `hidden` plus what this makes of it; `normal` and `wide` are working space.
    pub(super) fn apply(
        &self,
        kernels: &K,
        hidden: &mut K::Tensor,
        normal: &mut K::Tensor,
        wide: &mut K::Tensor,
    ) {
        self.norm.apply(kernels, hidden, normal);
        self.up.apply(kernels, normal, wide);
        kernels.gelu(wide);
        self.down.apply(kernels, wide, normal);
        kernels.add(hidden, normal);
    }
}

impl<K: AudioKernels> Encoder<K> {
    pub(super) fn load(weights: &mut Weights<'_, K>, shape: Shape) -> Result<Self, ModelError> {
        let width = shape.width;
        Ok(Self {
            first: weights.convolution("encoder/conv1", width, shape.mels, TAPS)?,
            second: weights.convolution("encoder/conv2", width, width, TAPS)?,
            positions: weights.rows("encoder/position_encodings/encodings", shape.moments, width)?,
            blocks: (0..shape.encoder_blocks)
                .map(|index| Block::load(weights, &shape, index))
                .collect::<Result<_, _>>()?,
            norm: weights.norm("encoder/layer_norm", width)?,
            shape,
        })
    }

    /// What is heard at each moment of a window: `[moments, width]`, from the spectrogram's rows of the whole window.
    pub(super) fn encode(&self, k: &K, spectrogram: &K::Tensor) -> Result<K::Tensor, ModelError> {
        let Shape { moments, width, heads, .. } = self.shape;
        let mut fine = k.tensor(moments * FRAMES_PER_MOMENT, width)?;
        k.conv1d(spectrogram, &self.first.weight, 1, TAPS / 2, &mut fine);
        k.add_bias(&mut fine, &self.first.bias);
        k.gelu(&mut fine);
        let mut hidden = k.tensor(moments, width)?;
        k.conv1d(&fine, &self.second.weight, FRAMES_PER_MOMENT, TAPS / 2, &mut hidden);
        drop(fine);
        k.add_bias(&mut hidden, &self.second.bias);
        k.gelu(&mut hidden);
        k.add(&mut hidden, &self.positions);

        let mut normal = k.tensor(moments, width)?;
        let mut asked = Asked::new(k, moments, width)?;
        let mut wide = k.tensor(moments, self.shape.feed_width)?;
        for block in &self.blocks {
            block.attention.ask(k, &hidden, &mut normal, &mut asked);
            k.attend_all(&asked.query, &asked.key, &asked.value, heads, &[moments], &mut normal);
            block.attention.add(k, &normal, &mut asked.query, &mut hidden);
            block.feed.apply(k, &mut hidden, &mut normal, &mut wide);
        }
        self.norm.apply(k, &hidden, &mut normal);
        Ok(normal)
    }
}

impl<K: Kernels> Block<K> {
    fn load(weights: &mut Weights<'_, K>, shape: &Shape, index: usize) -> Result<Self, ModelError> {
        let name = format!("encoder/layer_{index}");
        Ok(Self {
            attention: Attention::load(weights, &format!("{name}/self_attention"), shape.width)?,
            feed: Feed::load(weights, &format!("{name}/ffn"), shape)?,
        })
    }
}
