//! What models compute with: one trait, behind which a processor or an accelerator stands.
//!
//! Buffers belong to the device that computes. Operations take `&self`, name their inputs and outputs, and may be queued:
//! values come to the host by [`Kernels::read`] alone. Shapes that do not fit each other are bugs of the caller and panic;
//! only taking memory can fail. Model families are generic over this trait and name no device.

pub mod audio;
pub mod cpu;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod cuda;
pub mod image;
pub mod timed;

use std::fmt::Debug;
use std::sync::Arc;

use crate::error::ModelError;
use crate::gguf::Encoding;
use crate::llama::Precision;

/// Tokens in one page of attention cache.
pub const PAGE_TOKENS: usize = 16;

/// A weight matrix as a file has it: `rows` × `columns` values, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// How the bytes encode values.
    pub encoding: Encoding,
    /// Outputs of a product with it.
    pub rows: usize,
    /// Inputs of a product with it; a multiple of the encoding's block.
    pub columns: usize,
    /// The encoded values.
    pub bytes: &'a [u8],
}

/// What one page holds: keys and values of [`PAGE_TOKENS`] tokens for every block of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageShape {
    /// Transformer blocks.
    pub blocks: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_width: usize,
    /// 32-bit floats, or where the device has them 16-bit ones for [`Precision::Fast`].
    pub precision: Precision,
}

impl PageShape {
    /// Keys and values of one page, heads padded to 16 numbers.
    pub fn numbers(&self) -> usize {
        self.blocks * 2 * self.kv_heads * PAGE_TOKENS * self.head_width.next_multiple_of(16)
    }
}

/// One sequence's share of a batch: `count` rows that follow the `start` tokens its pages already hold.
#[derive(Debug)]
pub struct Span<'a, P> {
    /// The sequence's first pages, all full: others may read them too, and nobody writes to them.
    pub shared: &'a [Arc<P>],
    /// The pages that follow, its own; with the shared ones they have room for `start + count` tokens.
    pub pages: &'a mut [P],
    /// Tokens held before this pass.
    pub start: usize,
    /// Rows of this pass that belong to the sequence.
    pub count: usize,
}

impl<P> Span<'_, P> {
    /// The pages that hold the tokens up to the last of this pass, in order.
    pub fn held(&self) -> impl Iterator<Item = &P> {
        let count = (self.start + self.count).div_ceil(PAGE_TOKENS);
        self.shared.iter().map(Arc::as_ref).chain(self.pages.iter()).take(count)
    }

    /// The page that this pass writes the token at `position` to, one of the sequence's own.
    ///
    /// # Panics
    /// Where a shared page holds that position, or none does.
    pub fn own(&mut self, position: usize) -> &mut P {
        &mut self.pages[position / PAGE_TOKENS - self.shared.len()]
    }
}

/// The operations of transformer models on one device.
///
/// A [`Kernels::Tensor`] is `rows` × `width` 32-bit floats, a row per token.
pub trait Kernels: Debug + Send + Sync + Sized + 'static {
    /// Activations: rows of 32-bit floats on the device.
    type Tensor: Debug + Send + Sync;
    /// A weight matrix on the device, in whatever layout its products want.
    type Matrix: Debug + Send + Sync;
    /// A page of attention cache on the device.
    type Page: Debug + Send + Sync;

    /// Zeros.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where the device has no room.
    fn tensor(&self, rows: usize, width: usize) -> Result<Self::Tensor, ModelError>;

    /// Values from the host; `values` has a whole number of rows.
    ///
    /// # Errors
    /// As [`Kernels::tensor`].
    fn upload(&self, width: usize, values: &[f32]) -> Result<Self::Tensor, ModelError>;

    /// Wait for what was queued and bring all values to the host, row by row.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where something queued failed.
    fn read(&self, tensor: &Self::Tensor) -> Result<Vec<f32>, ModelError>;

    /// Bring a matrix to the device, in the layout that its products want.
    ///
    /// # Errors
    /// As [`Kernels::tensor`].
    fn matrix(&self, stored: Stored<'_>, precision: Precision) -> Result<Self::Matrix, ModelError>;

    /// Bytes that [`Kernels::matrix`] will take, from the shape alone.
    fn matrix_bytes(encoding: Encoding, rows: usize, columns: usize, precision: Precision) -> u64;

    /// Bytes that [`Kernels::page`] will take.
    fn page_bytes(shape: PageShape) -> u64;

    /// An empty page.
    ///
    /// # Errors
    /// As [`Kernels::tensor`].
    fn page(&self, shape: PageShape) -> Result<Self::Page, ModelError>;

    /// `out[i] = table[ids[i]]`.
    fn embed(&self, table: &Self::Matrix, ids: &[u32], out: &mut Self::Tensor);

    /// `out = x · wᵀ` for every pair: several matrices that meet the same activations are one piece of work.
    fn linear(&self, x: &Self::Tensor, products: &mut [(&Self::Matrix, &mut Self::Tensor)]);

    /// Each row divided by its root mean square, times `weight` (Zhang and Sennrich, arXiv:1910.07467).
    fn rms_norm(&self, x: &Self::Tensor, weight: &Self::Tensor, epsilon: f32, out: &mut Self::Tensor);

    /// Each row to mean 0 and variance 1, times `weight` plus `bias` (Ba et al., arXiv:1607.06450).
    fn layer_norm(
        &self,
        x: &Self::Tensor,
        weight: &Self::Tensor,
        bias: &Self::Tensor,
        epsilon: f32,
        out: &mut Self::Tensor,
    );

    /// Rotate neighbouring pairs of every head by the angle of the row's position (Su et al., arXiv:2104.09864).
    /// `cos` and `sin` have a row per position and a column per pair.
    fn rope(&self, x: &mut Self::Tensor, cos: &Self::Tensor, sin: &Self::Tensor, positions: &[u32]);

    /// Write the rows of `keys` and `values` into each span's pages, for one block of the model.
    fn store(
        &self,
        keys: &Self::Tensor,
        values: &Self::Tensor,
        block: usize,
        spans: &mut [Span<'_, Self::Page>],
    );

    /// Causal attention of `queries` over each span's pages, which hold the rows' own keys already. Query heads beyond
    /// the key heads share them in groups.
    fn attend(
        &self,
        queries: &Self::Tensor,
        block: usize,
        spans: &[Span<'_, Self::Page>],
        out: &mut Self::Tensor,
    );

    /// Attention in which every row sees every row of its own sequence; `lengths` are the sequences' rows, in order.
    fn attend_all(
        &self,
        queries: &Self::Tensor,
        keys: &Self::Tensor,
        values: &Self::Tensor,
        heads: usize,
        lengths: &[usize],
        out: &mut Self::Tensor,
    );

    /// Every row to probabilities.
    fn softmax(&self, x: &mut Self::Tensor);

    /// `gate = silu(gate) ⊙ up` (Shazeer, arXiv:2002.05202).
    fn swiglu(&self, gate: &mut Self::Tensor, up: &Self::Tensor);

    /// The Gaussian error unit in its exact form, by the error function (Hendrycks and Gimpel, arXiv:1606.08415).
    fn gelu(&self, x: &mut Self::Tensor);

    /// `x += y`.
    fn add(&self, x: &mut Self::Tensor, y: &Self::Tensor);

    /// `bias`, one row, added to every row of `x`.
    fn add_bias(&self, x: &mut Self::Tensor, bias: &Self::Tensor);

    /// `out[i] = x[rows[i]]`.
    fn take_rows(&self, x: &Self::Tensor, rows: &[usize], out: &mut Self::Tensor);
}
