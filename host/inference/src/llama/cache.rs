//! Keys and values of the tokens that a sequence has seen.

use candle_core::{DType, Device, Tensor};

use super::Shape;
use crate::error::ModelError;

/// First growth, in tokens; after that capacity doubles, up to the limit.
const CAPACITY_MIN: usize = 128;

/// One sequence's attention cache. It grows with the sequence, never past the limit it was made with.
#[derive(Debug)]
pub struct KvCache {
    blocks: Vec<Pair>,
    kv_heads: usize,
    head_width: usize,
    len: usize,
    capacity: usize,
    limit: usize,
}

/// Each `[kv_heads, capacity, head_width]`.
#[derive(Debug)]
struct Pair {
    keys: Tensor,
    values: Tensor,
}

impl KvCache {
    /// An empty cache for at most `limit` tokens; it takes no memory yet.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where candle cannot make empty tensors.
    pub fn new(shape: &Shape, limit: usize) -> Result<Self, ModelError> {
        let (kv_heads, head_width) = (shape.kv_heads, shape.head_width);
        let empty = || Tensor::zeros((kv_heads, 0, head_width), DType::F32, &Device::Cpu);
        let blocks = (0..shape.blocks)
            .map(|_| Ok(Pair { keys: empty()?, values: empty()? }))
            .collect::<Result<_, ModelError>>()?;
        Ok(Self { blocks, kv_heads, head_width, len: 0, capacity: 0, limit: limit.min(shape.context) })
    }

    /// Tokens held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no token is held yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Make room for `count` more tokens in every block.
    pub(super) fn reserve(&mut self, count: usize) -> Result<(), ModelError> {
        let needed = self.len + count;
        if needed <= self.capacity {
            return Ok(());
        }
        if needed > self.limit {
            let reason = format!("the sequence reached its limit of {} tokens", self.limit);
            return Err(ModelError::Compute { reason });
        }
        let capacity = needed.max(self.capacity * 2).max(CAPACITY_MIN).min(self.limit);
        let shape = (self.kv_heads, capacity, self.head_width);
        // One block at a time, so that growing never holds two whole caches.
        for pair in &mut self.blocks {
            for held in [&mut pair.keys, &mut pair.values] {
                let grown = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
                if self.len > 0 {
                    grown.slice_set(&held.narrow(1, 0, self.len)?.contiguous()?, 1, 0)?;
                }
                *held = grown;
            }
        }
        self.capacity = capacity;
        Ok(())
    }

    /// Store the newest keys and values of one block, `[kv_heads, count, head_width]`, and give all of that block's.
    /// Room was made by [`KvCache::reserve`]; they count as held after [`KvCache::advance`].
    pub(super) fn append(
        &mut self,
        block: usize,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<(Tensor, Tensor), ModelError> {
        let pair = &self.blocks[block];
        pair.keys.slice_set(&keys.contiguous()?, 1, self.len)?;
        pair.values.slice_set(&values.contiguous()?, 1, self.len)?;
        let length = self.len + keys.dim(1)?;
        Ok((pair.keys.narrow(1, 0, length)?, pair.values.narrow(1, 0, length)?))
    }

    /// Count `count` tokens as held, once every block has them.
    pub(super) fn advance(&mut self, count: usize) {
        self.len += count;
    }
}
