//! Keys and values of the tokens that a sequence has seen.

use super::Shape;
use crate::error::ModelError;
use crate::kernels::{Kernels, PAGE_TOKENS, PageShape};

/// One sequence's attention cache, in pages that are taken as it grows, never past the limit it was made with.
#[derive(Debug)]
pub struct KvCache<P> {
    pub(super) pages: Vec<P>,
    shape: PageShape,
    len: usize,
    limit: usize,
}

impl<P> KvCache<P> {
    /// An empty cache for at most `limit` tokens; it takes no memory yet.
    pub fn new(shape: &Shape, limit: usize) -> Self {
        Self { pages: Vec::new(), shape: shape.page(), len: 0, limit: limit.min(shape.context) }
    }

    /// Tokens held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no token is held yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Make room for `count` more tokens.
    pub(super) fn reserve<K: Kernels<Page = P>>(
        &mut self,
        kernels: &K,
        count: usize,
    ) -> Result<(), ModelError> {
        let needed = self.len + count;
        if needed > self.limit {
            let reason = format!("the sequence reached its limit of {} tokens", self.limit);
            return Err(ModelError::Compute { reason });
        }
        while self.pages.len() * PAGE_TOKENS < needed {
            self.pages.push(kernels.page(self.shape)?);
        }
        Ok(())
    }

    /// Count `count` tokens as held, once every block has them.
    pub(super) fn advance(&mut self, count: usize) {
        self.len += count;
    }
}
