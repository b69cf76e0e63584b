//! The kernels on an NVIDIA card: matrices stay in their file's encoding, and are decoded in registers on the way into a
//! product. Sources in CUDA C++ are our own (`cuda/*.cu`), compiled on the machine.
//!
//! One queue: operations run in the order they are called, and [`Kernels::read`] waits for them. What fails in between is
//! told there.

mod attention;
pub mod compiler;
mod device;
pub mod ptx;
pub mod sources;
mod tables;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{CudaFunction, CudaSlice};

use self::attention::{HEAD_WIDTH_MAX, Sequence};
use self::compiler::failed;
use self::device::Argument::{self, Bytes, Count, Floats, Real, Words};
use self::device::{Device, Kernels as Loaded};
use self::sources::Program;
use self::tables::Tables;
use super::{Kernels, PAGE_TOKENS, PageShape, Span, Stored};
use crate::error::ModelError;
use crate::gguf::Encoding;
use crate::llama::Precision;

/// Threads of a block, where nothing else decides.
const THREADS: u32 = 256;
/// Rows of activations up to which a product is bound by reading the weights: a warp for each output.
const FEW_ROWS_MAX: usize = 8;
/// Rows and outputs of a tile of `many_rows`.
const TILE: usize = 64;

/// A card.
#[derive(Debug)]
pub struct Cuda {
    rows: Loaded,
    attention: Loaded,
    /// Products of the encodings that matrices came in so far.
    products: Mutex<HashMap<Encoding, Arc<Loaded>>>,
    tables: Tables,
    /// Dropped behind all that it holds.
    device: Device,
}

/// Rows of floats on the card.
#[derive(Debug)]
pub struct Tensor {
    rows: usize,
    width: usize,
    values: CudaSlice<f32>,
}

impl Tensor {
    fn count(&self) -> usize {
        self.rows * self.width
    }
}

/// A matrix in its file's encoding on the card.
#[derive(Debug)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    bytes: CudaSlice<u8>,
    products: Arc<Loaded>,
}

/// A page of keys and values on the card.
#[derive(Debug)]
pub struct Page {
    shape: PageShape,
    values: CudaSlice<f32>,
}

impl Cuda {
    /// The card with this number, from 0.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where driver, card or compiler is missing or too old, which it names.
    pub fn open(ordinal: usize) -> Result<Self, ModelError> {
        let device = Device::open(ordinal)?;
        let (rows, attention) = (device.load(Program::Rows)?, device.load(Program::Attention)?);
        Ok(Self { device, rows, attention, products: Mutex::default(), tables: Tables::default() })
    }

    /// Bytes of the card's memory that nothing uses, and all that it has.
    ///
    /// # Errors
    /// [`ModelError::Compute`] with what the driver says.
    pub fn memory(&self) -> Result<(u64, u64), ModelError> {
        self.device.memory()
    }

    /// A thread for each of `count` numbers.
    fn flat(&self, kernel: &CudaFunction, count: usize, arguments: &[Argument<'_>]) {
        self.device.launch(kernel, [count.div_ceil(THREADS as usize), 1, 1], THREADS, 0, arguments);
    }

    /// A block for each row.
    fn by_row(&self, kernel: &str, rows: usize, arguments: &[Argument<'_>]) {
        self.device.launch(&self.rows[kernel], [rows, 1, 1], THREADS, 0, arguments);
    }

    fn list(&self, values: impl Iterator<Item = u64>) -> Result<Arc<CudaSlice<u64>>, ModelError> {
        self.tables.get(&self.device, values.collect())
    }

    /// Remember what failed for the next read.
    fn noted(&self, outcome: Result<(), ModelError>) {
        if let Err(error) = outcome {
            self.device.fail(&error);
        }
    }

    fn all_to_all(
        &self,
        [queries, keys, values]: [&Tensor; 3],
        heads: usize,
        lengths: &[usize],
        out: &Tensor,
    ) -> Result<(), ModelError> {
        // Pages of one block for the occasion: the same kernels then serve.
        let shape = PageShape {
            blocks: 1,
            kv_heads: heads,
            head_width: queries.width / heads,
            precision: Precision::Exact,
        };
        let mut pages = lengths
            .iter()
            .map(|length| (0..length.div_ceil(PAGE_TOKENS)).map(|_| self.page(shape)).collect())
            .collect::<Result<Vec<Vec<Page>>, _>>()?;
        let spans = pages.iter_mut().zip(lengths).map(|(pages, count)| Span {
            shared: &[],
            pages,
            start: 0,
            count: *count,
        });
        let places = self.places(&mut spans.collect::<Vec<_>>());
        self.store_rows([keys, values], 0, shape, places)?;
        let address = |page: &Page| self.device.address(&page.values);
        let sequences: Vec<Sequence> = pages
            .iter()
            .zip(lengths)
            .map(|(pages, length)| {
                let pages = pages.iter().map(address).collect();
                Sequence { pages, rows: *length, seen: *length, causal: false }
            })
            .collect();
        self.attend_sequences(queries, 0, shape, &sequences, out)
    }
}

/// A size as kernels take it.
///
/// # Panics
/// At 2³² and beyond, which no tensor of a pass has.
fn count_of(size: usize) -> u32 {
    u32::try_from(size).expect("sizes on a card have 32 bits")
}

impl Kernels for Cuda {
    type Tensor = Tensor;
    type Matrix = Matrix;
    type Page = Page;

    fn tensor(&self, rows: usize, width: usize) -> Result<Tensor, ModelError> {
        if rows.checked_mul(width).is_none_or(|count| u32::try_from(count).is_err()) {
            return Err(failed(format!("{rows} rows of {width} numbers are more than a kernel counts")));
        }
        Ok(Tensor { rows, width, values: self.device.zeros(rows * width)? })
    }

    fn upload(&self, width: usize, values: &[f32]) -> Result<Tensor, ModelError> {
        assert!(width > 0 && values.len().is_multiple_of(width), "not whole rows");
        Ok(Tensor { rows: values.len() / width, width, values: self.device.upload(values)? })
    }

    fn read(&self, tensor: &Tensor) -> Result<Vec<f32>, ModelError> {
        self.device.read(&tensor.values, tensor.count())
    }

    fn matrix(&self, stored: Stored<'_>, _: Precision) -> Result<Matrix, ModelError> {
        let Stored { encoding, rows, columns, bytes } = stored;
        assert!(columns.is_multiple_of(encoding.block_size()), "not whole blocks");
        let needed = Self::matrix_bytes(encoding, rows, columns, Precision::Exact);
        assert_eq!(bytes.len() as u64, needed, "bytes and shape do not belong together");
        let mut known = self.products.lock().unwrap_or_else(PoisonError::into_inner);
        let products = match known.get(&encoding) {
            Some(products) => Arc::clone(products),
            None => {
                let products = Arc::new(self.device.load(Program::Products(encoding))?);
                known.insert(encoding, Arc::clone(&products));
                products
            }
        };
        Ok(Matrix { rows, columns, bytes: self.device.upload(bytes)?, products })
    }

    fn matrix_bytes(encoding: Encoding, rows: usize, columns: usize, _: Precision) -> u64 {
        (rows * columns / encoding.block_size() * encoding.block_bytes()) as u64
    }

    fn page_bytes(shape: PageShape) -> u64 {
        (shape.numbers() * size_of::<f32>()) as u64
    }

    fn page(&self, shape: PageShape) -> Result<Page, ModelError> {
        if shape.head_width > HEAD_WIDTH_MAX {
            let reason = format!("heads of {} numbers are wider than {HEAD_WIDTH_MAX}", shape.head_width);
            return Err(failed(reason));
        }
        Ok(Page { shape, values: self.device.zeros(shape.numbers())? })
    }

    fn embed(&self, table: &Matrix, ids: &[u32], out: &mut Tensor) {
        assert_eq!((out.rows, out.width), (ids.len(), table.columns), "embedding: shapes");
        assert!(ids.iter().all(|id| (*id as usize) < table.rows), "embedding: an id beyond the table");
        self.noted(self.list(ids.iter().map(|id| u64::from(*id))).map(|ids| {
            let sizes = [table.columns, out.rows].map(count_of).map(Count);
            let arguments = [Bytes(&table.bytes), Words(&ids), Floats(&out.values), sizes[0], sizes[1]];
            let grid = [table.columns.div_ceil(8 * THREADS as usize), out.rows, 1];
            self.device.launch(&table.products["embed"], grid, THREADS, 0, &arguments);
        }));
    }

    fn linear(&self, x: &Tensor, products: &mut [(&Matrix, &mut Tensor)]) {
        for (matrix, out) in products {
            assert_eq!(
                (out.rows, out.width, x.width),
                (x.rows, matrix.rows, matrix.columns),
                "product: shapes"
            );
            let sizes = [matrix.rows, matrix.columns, x.rows].map(count_of).map(Count);
            let arguments =
                [Bytes(&matrix.bytes), Floats(&x.values), Floats(&out.values), sizes[0], sizes[1], sizes[2]];
            let (name, grid) = match x.rows {
                0..=1 => ("few_rows_1", [matrix.rows.div_ceil(THREADS as usize / 32), 1, 1]),
                2..=4 => ("few_rows_4", [matrix.rows.div_ceil(THREADS as usize / 32), 1, 1]),
                5..=FEW_ROWS_MAX => ("few_rows_8", [matrix.rows.div_ceil(THREADS as usize / 32), 1, 1]),
                _ => ("many_rows", [matrix.rows.div_ceil(TILE), x.rows.div_ceil(TILE), 1]),
            };
            self.device.launch(&matrix.products[name], grid, THREADS, 0, &arguments);
        }
    }

    fn rms_norm(&self, x: &Tensor, weight: &Tensor, epsilon: f32, out: &mut Tensor) {
        assert_eq!((x.rows, x.width, weight.count()), (out.rows, out.width, x.width), "rms norm: shapes");
        let (x_values, weight, width) = (Floats(&x.values), Floats(&weight.values), Count(count_of(x.width)));
        self.by_row("rms_norm", x.rows, &[x_values, weight, Real(epsilon), Floats(&out.values), width]);
    }

    fn layer_norm(&self, x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f32, out: &mut Tensor) {
        assert_eq!((x.rows, x.width, weight.count()), (out.rows, out.width, x.width), "layer norm: shapes");
        assert_eq!(bias.count(), x.width, "layer norm: shapes");
        let (weight, bias, width) = (Floats(&weight.values), Floats(&bias.values), Count(count_of(x.width)));
        let arguments = [Floats(&x.values), weight, bias, Real(epsilon), Floats(&out.values), width];
        self.by_row("layer_norm", x.rows, &arguments);
    }

    fn rope(&self, x: &mut Tensor, cos: &Tensor, sin: &Tensor, positions: &[u32]) {
        assert!(x.width.is_multiple_of(2 * cos.width) && x.rows == positions.len(), "rope: shapes");
        assert_eq!((cos.rows, cos.width), (sin.rows, sin.width), "rope: tables");
        assert!(positions.iter().all(|at| (*at as usize) < cos.rows), "rope: a position beyond the table");
        self.noted(self.list(positions.iter().map(|at| u64::from(*at))).map(|positions| {
            let count = x.count() / 2;
            let sizes = [cos.width, x.width / 2, count].map(count_of).map(Count);
            let tables = [Floats(&x.values), Floats(&cos.values), Floats(&sin.values), Words(&positions)];
            self.flat(&self.rows["rope"], count, &[&tables[..], &sizes[..]].concat());
        }));
    }

    fn store(&self, keys: &Tensor, values: &Tensor, block: usize, spans: &mut [Span<'_, Page>]) {
        let Some(shape) = spans.iter().find_map(|span| span.held().next()).map(|page| page.shape) else {
            return assert_eq!(keys.rows, 0, "rows without pages");
        };
        assert!(block < shape.blocks, "store: a block beyond the page");
        self.noted(self.store_rows([keys, values], block, shape, self.places(spans)));
    }

    fn attend(&self, queries: &Tensor, block: usize, spans: &[Span<'_, Page>], out: &mut Tensor) {
        let Some(shape) = spans.iter().find_map(|span| span.held().next()).map(|page| page.shape) else {
            return assert_eq!(queries.rows, 0, "rows without pages");
        };
        assert!(block < shape.blocks, "attention: a block beyond the page");
        let sequences: Vec<Sequence> = spans
            .iter()
            .map(|span| {
                let pages = span.held().map(|page| self.device.address(&page.values)).collect();
                Sequence { pages, rows: span.count, seen: span.start + 1, causal: true }
            })
            .collect();
        self.noted(self.attend_sequences(queries, block, shape, &sequences, out));
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
        self.noted(self.all_to_all([queries, keys, values], heads, lengths, out));
    }

    fn softmax(&self, x: &mut Tensor) {
        self.by_row("softmax", x.rows, &[Floats(&x.values), Count(count_of(x.width))]);
    }

    fn swiglu(&self, gate: &mut Tensor, up: &Tensor) {
        assert_eq!((gate.rows, gate.width), (up.rows, up.width), "swiglu: shapes");
        let count = gate.count();
        let arguments = [Floats(&gate.values), Floats(&up.values), Count(count_of(count))];
        self.flat(&self.rows["swiglu"], count, &arguments);
    }

    fn gelu(&self, x: &mut Tensor) {
        self.flat(&self.rows["gelu"], x.count(), &[Floats(&x.values), Count(count_of(x.count()))]);
    }

    fn add(&self, x: &mut Tensor, y: &Tensor) {
        assert_eq!((x.rows, x.width), (y.rows, y.width), "add: shapes");
        let arguments = [Floats(&x.values), Floats(&y.values), Count(count_of(x.count()))];
        self.flat(&self.rows["add"], x.count(), &arguments);
    }

    fn add_bias(&self, x: &mut Tensor, bias: &Tensor) {
        assert_eq!(x.width, bias.count(), "bias: shapes");
        let sizes = [x.width, x.count()].map(count_of).map(Count);
        let arguments = [Floats(&x.values), Floats(&bias.values), sizes[0], sizes[1]];
        self.flat(&self.rows["add_bias"], x.count(), &arguments);
    }

    fn take_rows(&self, x: &Tensor, rows: &[usize], out: &mut Tensor) {
        assert_eq!((out.rows, out.width), (rows.len(), x.width), "rows: shapes");
        assert!(rows.iter().all(|row| *row < x.rows), "rows: one beyond the end");
        self.noted(self.list(rows.iter().map(|row| *row as u64)).map(|rows| {
            let sizes = [out.width, out.count()].map(count_of).map(Count);
            let arguments = [Floats(&x.values), Words(&rows), Floats(&out.values), sizes[0], sizes[1]];
            self.flat(&self.rows["take_rows"], out.count(), &arguments);
        }));
    }
}
