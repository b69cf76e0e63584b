//! The kernels on the processor: the fastest instructions that it has, work split over threads.

mod attention;
mod audio;
mod bulk;
mod dense;
mod image;
mod isa;
mod packed;
mod page;
mod panels;
mod pool;
mod product;
mod quantised;
mod rows;
#[cfg(target_arch = "x86_64")]
mod vnni;
#[cfg(target_arch = "x86_64")]
mod wide;
mod winograd;

pub use isa::Isa;
pub use page::Page;
pub use product::Matrix;
pub use winograd::Filter;

use attention::{ROWS, View};
use page::padded;
use pool::{Pool, Scatter};

use super::{Kernels, PAGE_TOKENS, PageShape, Span, Stored};
use crate::error::ModelError;
use crate::gguf::Encoding;
use crate::llama::Precision;

/// The processor.
#[derive(Debug)]
pub struct Cpu {
    isa: Isa,
    pool: Pool,
}

/// Rows of 32-bit floats in memory.
#[derive(Clone, Debug)]
pub struct Tensor {
    width: usize,
    values: Vec<f32>,
}

impl Tensor {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }
}

impl Cpu {
    /// The fastest instructions, and as many threads as the processor runs at once unless `threads` says how many.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where the system gives no thread.
    pub fn new(threads: Option<usize>) -> Result<Self, ModelError> {
        let threads =
            threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
        Self::with_isa(Isa::best(), threads)
    }

    /// As [`Cpu::new`], with instructions of choice.
    ///
    /// # Errors
    /// As [`Cpu::new`].
    pub fn with_isa(isa: Isa, threads: usize) -> Result<Self, ModelError> {
        Ok(Self { isa, pool: Pool::new(threads)? })
    }

    /// Bytes that attention over so many tokens takes beside its input and output, on all threads of this machine.
    pub(crate) fn attention_bytes(tokens: usize) -> u64 {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // The scores of a piece's rows, in a list that doubles as it grows.
        2 * (threads * tokens.next_multiple_of(PAGE_TOKENS) * ROWS * size_of::<f32>()) as u64
    }

    /// Pieces for `items`: a few for each thread, so that one that is held up is waited for little.
    fn pieces(&self, items: usize) -> (usize, usize) {
        let size = items.div_ceil(self.pool.threads() * 4).max(1);
        (items.div_ceil(size), size)
    }

    /// Attention of pieces `(rows, view)`, each up to [`ROWS`] places `(row, head)` of `queries` and `out`.
    fn attend_pieces(
        &self,
        queries: &Tensor,
        width: usize,
        pieces: &[(Vec<(usize, usize)>, View<'_>)],
        out: &mut Tensor,
    ) {
        let out_width = out.width;
        let out = Scatter::new(&mut out.values, out_width);
        let (count, size) = self.pieces(pieces.len());
        self.pool.run(count, &|index| {
            let mut scores = Vec::new();
            let mut mixed = vec![0.0; ROWS * padded(width)];
            for (places, view) in pieces.iter().skip(index * size).take(size) {
                let rows: [&[f32]; ROWS] = std::array::from_fn(|at| {
                    let (row, head) = places[at.min(places.len() - 1)];
                    &queries.row(row)[head * width..(head + 1) * width]
                });
                attention::attend(self.isa, *view, rows, &mut scores, &mut mixed, self.isa);
                for ((row, head), mixed) in places.iter().zip(mixed.chunks_exact(padded(width))) {
                    // SAFETY: every row and head is in one piece alone.
                    #[allow(unsafe_code, reason = "threads write places of their own")]
                    let part = unsafe { out.part(*row, head * width, width) };
                    part.copy_from_slice(&mixed[..width]);
                }
            }
        });
    }

    /// Do `body` for ranges of rows of `out`, on all threads where there is enough to do.
    fn by_rows(&self, out: &mut Tensor, body: &(dyn Fn(std::ops::Range<usize>, &mut [f32]) + Sync)) {
        const WORTH_SPLITTING: usize = 8192;
        let (rows, width) = (out.rows(), out.width);
        if rows * width < WORTH_SPLITTING {
            return body(0..rows, &mut out.values);
        }
        let (count, size) = self.pieces(rows);
        let flat = Scatter::new(&mut out.values, rows * width);
        self.pool.run(count, &|index| {
            let range = index * size..((index + 1) * size).min(rows);
            // SAFETY: the ranges of rows are apart.
            #[allow(unsafe_code, reason = "threads write places of their own")]
            let part = unsafe { flat.part(0, range.start * width, range.len() * width) };
            body(range, part);
        });
    }
}

impl Kernels for Cpu {
    type Tensor = Tensor;
    type Matrix = Matrix;
    type Page = Page;

    fn tensor(&self, rows: usize, width: usize) -> Result<Tensor, ModelError> {
        Ok(Tensor { width, values: vec![0.0; rows * width] })
    }

    fn upload(&self, width: usize, values: &[f32]) -> Result<Tensor, ModelError> {
        assert!(width > 0 && values.len().is_multiple_of(width), "not whole rows");
        Ok(Tensor { width, values: values.to_vec() })
    }

    fn read(&self, tensor: &Tensor) -> Result<Vec<f32>, ModelError> {
        Ok(tensor.values.clone())
    }

    fn matrix(&self, stored: Stored<'_>, precision: Precision) -> Result<Matrix, ModelError> {
        Ok(Matrix::new(stored, precision))
    }

    fn matrix_bytes(encoding: Encoding, rows: usize, columns: usize, precision: Precision) -> u64 {
        Matrix::bytes(encoding, rows, columns, precision)
    }

    fn page_bytes(shape: PageShape) -> u64 {
        Page::bytes(shape)
    }

    fn page(&self, shape: PageShape) -> Result<Page, ModelError> {
        Ok(Page::new(shape))
    }

    fn embed(&self, table: &Matrix, ids: &[u32], out: &mut Tensor) {
        assert_eq!((out.rows(), out.width), (ids.len(), table.columns()), "embedding: shapes");
        for (id, out) in ids.iter().zip(out.values.chunks_exact_mut(table.columns())) {
            table.row(*id as usize, out);
        }
    }

    fn linear(&self, x: &Tensor, products: &mut [(&Matrix, &mut Tensor)]) {
        product::linear(self.isa, &self.pool, x, products);
    }

    fn rms_norm(&self, x: &Tensor, weight: &Tensor, epsilon: f32, out: &mut Tensor) {
        assert_eq!((x.values.len(), x.width, weight.values.len()), (out.values.len(), out.width, x.width));
        let width = x.width;
        self.by_rows(out, &|range, out| {
            let x = &x.values[range.start * width..range.end * width];
            rows::rms_norm(self.isa, x, &weight.values, epsilon, out);
        });
    }

    fn layer_norm(&self, x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f32, out: &mut Tensor) {
        assert_eq!((x.values.len(), x.width, weight.values.len()), (out.values.len(), out.width, x.width));
        assert_eq!(bias.values.len(), x.width, "layer norm: shapes");
        let width = x.width;
        self.by_rows(out, &|range, out| {
            let x = &x.values[range.start * width..range.end * width];
            rows::layer_norm(self.isa, x, &weight.values, &bias.values, epsilon, out);
        });
    }

    fn rope(&self, x: &mut Tensor, cos: &Tensor, sin: &Tensor, positions: &[u32]) {
        assert!(x.width.is_multiple_of(2 * cos.width) && x.rows() == positions.len(), "rope: shapes");
        for (row, position) in x.values.chunks_exact_mut(x.width).zip(positions) {
            rows::rope(row, cos.row(*position as usize), sin.row(*position as usize));
        }
    }

    fn store(&self, keys: &Tensor, values: &Tensor, block: usize, spans: &mut [Span<'_, Page>]) {
        let mut row = 0;
        for span in spans {
            for position in span.start..span.start + span.count {
                let page = span.own(position);
                page.put(block, position % PAGE_TOKENS, keys.row(row), values.row(row));
                row += 1;
            }
        }
        assert_eq!(row, keys.rows(), "spans and rows differ");
    }

    fn attend(&self, queries: &Tensor, block: usize, spans: &[Span<'_, Page>], out: &mut Tensor) {
        let held: Vec<Vec<&Page>> = spans.iter().map(|span| span.held().collect()).collect();
        let mut pieces = Vec::new();
        let (mut first, mut width) = (0, 1);
        for (span, pages) in spans.iter().zip(&held) {
            let Some(page) = pages.first() else { continue };
            let shape = page.shape();
            width = shape.head_width;
            let group = queries.width / width / shape.kv_heads;
            for head in 0..shape.kv_heads {
                // Queries of one token lie side by side: they see the same tokens.
                for start in (0..span.count * group).step_by(ROWS) {
                    let end = (start + ROWS).min(span.count * group);
                    let places =
                        (start..end).map(|at| (first + at / group, head * group + at % group)).collect();
                    let limits = std::array::from_fn(|at| span.start + (start + at).min(end - 1) / group + 1);
                    pieces.push((places, View { pages, block, head, limits }));
                }
            }
            first += span.count;
        }
        assert_eq!(first, queries.rows(), "spans and rows differ");
        self.attend_pieces(queries, width, &pieces, out);
    }

    fn attend_all(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        heads: usize,
        lengths: &[usize],
        out: &mut Tensor,
    ) {
        bulk::attend_all(self, queries, keys, values, heads, lengths, out);
    }

    fn softmax(&self, x: &mut Tensor) {
        let width = x.width;
        self.by_rows(x, &|_, x| rows::softmax(self.isa, x, width));
    }

    fn swiglu(&self, gate: &mut Tensor, up: &Tensor) {
        assert_eq!(gate.values.len(), up.values.len(), "swiglu: shapes");
        let width = gate.width;
        self.by_rows(gate, &|range, gate| {
            rows::swiglu(self.isa, gate, &up.values[range.start * width..range.end * width]);
        });
    }

    fn gelu(&self, x: &mut Tensor) {
        self.by_rows(x, &|_, x| rows::gelu(self.isa, x));
    }

    fn add(&self, x: &mut Tensor, y: &Tensor) {
        assert_eq!(x.values.len(), y.values.len(), "add: shapes");
        rows::add(self.isa, &mut x.values, &y.values);
    }

    fn add_bias(&self, x: &mut Tensor, bias: &Tensor) {
        assert_eq!(x.width, bias.values.len(), "bias: shapes");
        x.values.chunks_exact_mut(x.width).for_each(|row| rows::add(self.isa, row, &bias.values));
    }

    fn take_rows(&self, x: &Tensor, rows: &[usize], out: &mut Tensor) {
        assert_eq!((out.rows(), out.width), (rows.len(), x.width), "rows: shapes");
        for (row, out) in rows.iter().zip(out.values.chunks_exact_mut(x.width)) {
            out.copy_from_slice(x.row(*row));
        }
    }
}
