//! Matrices of floats as products want them: panels of 16 rows, one column of a panel after another. 16-bit floats stay what they are:
//! they convert exactly, and a product of few rows waits for the weights' way from memory.

use std::borrow::Cow;

use super::isa::Isa;
use super::panels::{self, LANES, Lines, Panels, ROWS};
use crate::gguf::Encoding;

/// Panels of activations that meet rows together: what the wide registers hold sums for.
pub const PANELS_AT_ONCE: usize = 4;

/// A matrix in panels.
#[derive(Debug)]
pub struct Dense {
    pub rows: usize,
    pub columns: usize,
    panels: Form,
}

/// For each 16 rows their first column, their second, and so on; rows beyond the matrix are zeros.
#[derive(Debug)]
enum Form {
    Full(Lines),
    Half(Lines<u16>),
    /// The upper halves of 32-bit floats.
    Upper(Lines<u16>),
}

impl Form {
    /// Lanes `from..to`.
    fn panels(&self, from: usize, to: usize) -> Panels<'_> {
        match self {
            Self::Full(lines) => Panels::Full(&lines.lanes()[from..to]),
            Self::Half(lines) => Panels::Half(&lines.lanes()[from..to]),
            Self::Upper(lines) => Panels::Upper(&lines.lanes()[from..to]),
        }
    }
}

/// 32-bit floats of any panels.
fn full(panels: Panels<'_>) -> Cow<'_, [[f32; LANES]]> {
    let half = |bits| half::f16::from_bits(bits).to_f32();
    let upper = |bits| half::bf16::from_bits(bits).to_f32();
    match panels {
        Panels::Full(lanes) => Cow::Borrowed(lanes),
        Panels::Half(lanes) => lanes.iter().map(|lanes| lanes.map(half)).collect(),
        Panels::Upper(lanes) => lanes.iter().map(|lanes| lanes.map(upper)).collect(),
    }
}

impl Dense {
    /// Bytes in memory.
    pub fn bytes(encoding: Encoding, rows: usize, columns: usize) -> u64 {
        let each = if matches!(encoding, Encoding::F16 | Encoding::BF16) { 2 } else { 4 };
        (rows.next_multiple_of(LANES) * columns * each) as u64
    }

    /// Lay out a stored matrix, a row at a time.
    pub fn new(encoding: Encoding, rows: usize, columns: usize, bytes: &[u8]) -> Self {
        let row_bytes = columns / encoding.block_size() * encoding.block_bytes();
        let stored = bytes.chunks_exact(row_bytes);
        let count = rows.div_ceil(LANES) * columns;
        let panels = match encoding {
            Encoding::F16 => Form::Half(halves(count, columns, stored)),
            Encoding::BF16 => Form::Upper(halves(count, columns, stored)),
            _ => {
                let mut lines = Lines::new(count);
                let mut values = vec![0.0; columns];
                for (row, bytes) in stored.enumerate() {
                    encoding.decode(bytes, &mut values);
                    put(&mut lines, row, &values);
                }
                Form::Full(lines)
            }
        };
        Self { rows, columns, panels }
    }

    /// One row as floats.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let first = row / LANES * self.columns;
        let lane = row % LANES;
        match self.panels.panels(first, first + self.columns) {
            Panels::Full(lanes) => out.iter_mut().zip(lanes).for_each(|(out, values)| *out = values[lane]),
            Panels::Half(lanes) => out
                .iter_mut()
                .zip(lanes)
                .for_each(|(out, values)| *out = half::f16::from_bits(values[lane]).to_f32()),
            Panels::Upper(lanes) => out
                .iter_mut()
                .zip(lanes)
                .for_each(|(out, values)| *out = half::bf16::from_bits(values[lane]).to_f32()),
        }
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
            let stored = self.panels.panels(first * columns, (first + count) * columns);
            let converted = if panels::takes_halves(isa) { None } else { Some(full(stored)) };
            let panels = converted.as_deref().map_or(stored, Panels::Full);
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

/// Lanes of 16-bit numbers as they are stored.
fn halves<'b>(count: usize, columns: usize, rows: impl Iterator<Item = &'b [u8]>) -> Lines<u16> {
    let mut lines = Lines::new(count);
    let mut values = vec![0; columns];
    for (row, bytes) in rows.enumerate() {
        values
            .iter_mut()
            .zip(bytes.as_chunks().0)
            .for_each(|(value, bytes)| *value = u16::from_le_bytes(*bytes));
        put(&mut lines, row, &values);
    }
    lines
}

fn put<T: Copy + Default>(lines: &mut Lines<T>, row: usize, values: &[T]) {
    let (panel, lane) = (&mut lines.lanes_mut()[row / LANES * values.len()..], row % LANES);
    panel.iter_mut().zip(values).for_each(|(place, value)| place[lane] = *value);
}
