//! Keys and values of the tokens that a sequence has seen.

use std::sync::Arc;

use super::Shape;
use crate::error::ModelError;
use crate::kernels::{Kernels, PAGE_TOKENS, PageShape, Span};

/// One sequence's attention cache, in pages that are taken as it grows, never past the limit it was made with.
///
/// Its first pages may be shared with other sequences that begin with the same tokens. Those are full, and nothing
/// can write to them; the page that is written to, and all after it, belong to this sequence alone.
#[derive(Debug)]
pub struct KvCache<P> {
    shared: Vec<Arc<P>>,
    own: Vec<P>,
    shape: PageShape,
    len: usize,
    limit: usize,
}

impl<P> KvCache<P> {
    /// An empty cache for at most `limit` tokens; it takes no memory yet.
    pub fn new(shape: &Shape, limit: usize) -> Self {
        let limit = limit.min(shape.context);
        Self { shared: Vec::new(), own: Vec::new(), shape: shape.page(), len: 0, limit }
    }

    /// Tokens held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no token is held yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the next token begins a page.
    pub(crate) fn is_even(&self) -> bool {
        self.len.is_multiple_of(PAGE_TOKENS)
    }

    /// The pages that may be shared: all that are full, once [`KvCache::share_full`] was called.
    pub(crate) fn shared(&mut self) -> &mut [Arc<P>] {
        &mut self.shared
    }

    /// Make full pages ones that may be shared.
    pub(crate) fn share_full(&mut self) {
        let full = (self.len / PAGE_TOKENS).saturating_sub(self.shared.len());
        self.shared.extend(self.own.drain(..full).map(Arc::new));
    }

    /// Hold what full pages hold that follow what is held already.
    ///
    /// # Panics
    /// In the middle of a page.
    pub(crate) fn follow(&mut self, pages: impl IntoIterator<Item = Arc<P>>) {
        self.share_full();
        assert!(self.is_even() && self.own.is_empty(), "pages follow full ones");
        self.shared.extend(pages);
        self.len = self.shared.len() * PAGE_TOKENS;
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
        while (self.shared.len() + self.own.len()) * PAGE_TOKENS < needed {
            self.own.push(kernels.page(self.shape)?);
        }
        Ok(())
    }

    /// The part of a pass in which `count` tokens follow.
    pub(super) fn span(&mut self, count: usize) -> Span<'_, P> {
        Span { shared: &self.shared, pages: &mut self.own, start: self.len, count }
    }

    /// Count `count` tokens as held, once every block has them.
    pub(super) fn advance(&mut self, count: usize) {
        self.len += count;
    }
}
