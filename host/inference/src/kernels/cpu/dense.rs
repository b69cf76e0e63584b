//! Matrices of 32-bit floats as products want them: panels of 16 rows, one column of a panel after another.

use super::isa::Isa;
use super::panels::{self, LANES, Lines, ROWS};
use crate::gguf::Encoding;

/// Panels that meet rows of activations together: what the wide registers hold sums for.
pub const PANELS_AT_ONCE: usize = 4;

/// A matrix in panels.
#[derive(Debug)]
pub struct Dense {
    pub rows: usize,
    pub columns: usize,
    /// For each 16 rows their first column, their second, and so on; rows beyond the matrix are zeros.
    panels: Lines,
}

impl Dense {
    /// Bytes in memory.
    pub fn bytes(rows: usize, columns: usize) -> u64 {
        (rows.next_multiple_of(LANES) * columns * size_of::<f32>()) as u64
    }

    /// Lay out a stored matrix, a row at a time.
    pub fn new(encoding: Encoding, rows: usize, columns: usize, bytes: &[u8]) -> Self {
        let mut panels = Lines::new(rows.div_ceil(LANES) * columns);
        let mut values = vec![0.0; columns];
        let row_bytes = columns / encoding.block_size() * encoding.block_bytes();
        for (row, bytes) in bytes.chunks_exact(row_bytes).enumerate() {
            encoding.decode(bytes, &mut values);
            let (panel, lane) = (&mut panels.lanes_mut()[row / LANES * columns..][..columns], row % LANES);
            panel.iter_mut().zip(&values).for_each(|(place, value)| place[lane] = *value);
        }
        Self { rows, columns, panels }
    }

    /// One row as floats.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let (panel, lane) = (&self.panels.lanes()[row / LANES * self.columns..], row % LANES);
        out.iter_mut().zip(panel).for_each(|(out, values)| *out = values[lane]);
    }

    /// Products of panels `from..to` with rows of activations; `write` is given a row, a column and the values from there on.
    pub fn product(
        &self,
        isa: Isa,
        from: usize,
        to: usize,
        x: &[f32],
        mut write: impl FnMut(usize, usize, &[f32]),
    ) {
        let columns = self.columns;
        for first in (from..to).step_by(PANELS_AT_ONCE) {
            let count = PANELS_AT_ONCE.min(to - first);
            let panels = &self.panels.lanes()[first * columns..(first + count) * columns];
            let wanted = (count * LANES).min(self.rows - first * LANES);
            let mut sums = [[0.0; LANES]; PANELS_AT_ONCE * ROWS];
            for (index, rows) in x.chunks(ROWS * columns).enumerate() {
                let taken = rows.len() / columns;
                let sums = &mut sums[..taken * count];
                panels::product(isa, (rows, taken), columns, panels, columns, sums);
                for (row, sums) in (index * ROWS..).zip(sums.chunks_exact(count)) {
                    write(row, first * LANES, &sums.as_flattened()[..wanted]);
                }
            }
        }
    }
}
