//! Products of activations with weight matrices, split over threads by rows of the matrix.

use super::Tensor;
use super::dense::{Dense, PANELS_AT_ONCE};
use super::isa::Isa;
use super::packed::{BLOCK, PANEL, Packed};
use super::pool::{Pool, Scatter};
use super::quantised::{self, Quantised};
use crate::gguf::Encoding;
use crate::kernels::Stored;
use crate::llama::Precision;

/// Rows of activations that meet a piece of a matrix while it is in the nearest cache.
const ROWS_AT_ONCE: usize = 256;

/// A weight matrix in the layout that its products want.
#[derive(Debug)]
pub struct Matrix(Form);

#[derive(Debug)]
enum Form {
    Dense(Dense),
    Packed(Packed),
}

/// Whether a matrix is held in integers.
fn is_packed(encoding: Encoding, columns: usize, precision: Precision) -> bool {
    let float = matches!(encoding, Encoding::F32 | Encoding::F16 | Encoding::BF16);
    precision == Precision::Fast && !float && columns.is_multiple_of(BLOCK)
}

impl Matrix {
    /// Lay a stored matrix out: in integers at [`Precision::Fast`] unless it is stored in floats, which stay what they are; else in 32-bit
    /// floats.
    ///
    /// # Panics
    /// Where the bytes do not have the shape.
    pub fn new(stored: Stored<'_>, precision: Precision) -> Self {
        let Stored { encoding, rows, columns, bytes } = stored;
        assert_eq!(rows * columns / encoding.block_size() * encoding.block_bytes(), bytes.len(), "bytes");
        if is_packed(encoding, columns, precision) {
            return Self(Form::Packed(Packed::new(encoding, rows, columns, bytes)));
        }
        Self(Form::Dense(Dense::new(encoding, rows, columns, bytes)))
    }

    /// Bytes in memory.
    pub fn bytes(encoding: Encoding, rows: usize, columns: usize, precision: Precision) -> u64 {
        match is_packed(encoding, columns, precision) {
            true => Packed::bytes(encoding, rows, columns),
            false => Dense::bytes(encoding, rows, columns),
        }
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        match &self.0 {
            Form::Dense(dense) => dense.rows,
            Form::Packed(packed) => packed.rows,
        }
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        match &self.0 {
            Form::Dense(dense) => dense.columns,
            Form::Packed(packed) => packed.columns,
        }
    }

    /// One row as floats.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows(), "no such row");
        match &self.0 {
            Form::Dense(dense) => dense.row(row, out),
            Form::Packed(packed) => packed.row(row, out),
        }
    }
}

/// Panels `from..to` of one product.
struct Piece {
    product: usize,
    from: usize,
    to: usize,
}

/// See [`crate::kernels::Kernels::linear`].
pub fn linear(isa: Isa, pool: &Pool, x: &Tensor, products: &mut [(&Matrix, &mut Tensor)]) {
    let rows = x.rows();
    let mut total = 0;
    for (matrix, out) in products.iter() {
        assert_eq!(
            (matrix.columns(), matrix.rows(), rows),
            (x.width, out.width, out.rows()),
            "linear: shapes"
        );
        total += matrix.rows().div_ceil(PANEL);
    }
    let packed = products.iter().any(|(matrix, _)| matches!(matrix.0, Form::Packed(_)));
    let size = total.div_ceil(pool.threads() * 4).next_multiple_of(PANELS_AT_ONCE);
    let mut pieces = Vec::new();
    let mut outs = Vec::with_capacity(products.len());
    for (product, (matrix, out)) in products.iter_mut().enumerate() {
        let panels = matrix.rows().div_ceil(PANEL);
        pieces.extend((0..panels).step_by(size).map(|from| Piece {
            product,
            from,
            to: (from + size).min(panels),
        }));
        let width = out.width;
        outs.push((&matrix.0, Scatter::new(&mut out.values, width)));
    }
    for first in (0..rows).step_by(ROWS_AT_ONCE) {
        let count = ROWS_AT_ONCE.min(rows - first);
        let x = &x.values[first * x.width..(first + count) * x.width];
        let width = x.len() / count;
        let integers = packed.then(|| Quantised::new(isa, x, width));
        pool.run(pieces.len(), &|index| {
            let Piece { product, from, to } = pieces[index];
            let (matrix, out) = &outs[product];
            match (matrix, &integers) {
                (Form::Packed(packed), Some(x)) => {
                    for panel in from..to {
                        let wanted = PANEL.min(packed.rows - panel * PANEL);
                        quantised::product(isa, packed, panel, x, &mut |row, lanes| {
                            write(out, first + row, panel * PANEL, &lanes[..wanted]);
                        });
                    }
                }
                (Form::Dense(dense), _) => {
                    dense.product(isa, from, to, x, |row, column, values| {
                        write(out, first + row, column, values);
                    });
                }
                (Form::Packed(_), None) => unreachable!("quantised above"),
            }
        });
    }
}

fn write(out: &Scatter<'_>, row: usize, column: usize, values: &[f32]) {
    // SAFETY: a panel's columns are written by the piece that has the panel, one row after another.
    #[allow(unsafe_code, reason = "threads write places of their own")]
    let part = unsafe { out.part(row, column, values.len()) };
    part.copy_from_slice(values);
}
