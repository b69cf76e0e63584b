//! Attention in which every row of a sequence sees all of it: two products with panels of keys and values, and a softmax between.

use super::isa::Isa;
use super::panels::{self, LANES, Lines, Panels, ROWS};
use super::pool::Scatter;
use super::{Cpu, Tensor, rows};

/// Rows of queries in one piece of work.
const ROWS_PER_PIECE: usize = 4 * ROWS;

/// A sequence and where its panels are.
struct Sequence {
    first: usize,
    length: usize,
    /// Where its keys begin, in lanes: for each head panels of 16 rows, column after column.
    keys: usize,
    /// Where its values begin, in lanes: for each head panels of 16 columns, row after row.
    values: usize,
}

/// See [`crate::kernels::Kernels::attend_all`].
pub fn attend_all(
    cpu: &Cpu,
    queries: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    heads: usize,
    lengths: &[usize],
    out: &mut Tensor,
) {
    assert_eq!(lengths.iter().sum::<usize>(), queries.rows(), "lengths and rows differ");
    let width = queries.width / heads;
    // Lanes of one head of a sequence.
    let key_lanes = |length: usize| length.div_ceil(LANES) * width;
    let value_lanes = |length: usize| width.div_ceil(LANES) * length;
    let (mut sequences, mut first, mut key_end, mut value_end) = (Vec::new(), 0, 0, 0);
    for length in lengths.iter().copied() {
        sequences.push(Sequence { first, length, keys: key_end, values: value_end });
        first += length;
        key_end += heads * key_lanes(length);
        value_end += heads * value_lanes(length);
    }
    let mut key_panels = Lines::new(key_end);
    let mut value_panels = Lines::new(value_end);
    {
        let keys_out = Scatter::new(key_panels.lanes_mut().as_flattened_mut(), LANES * key_end);
        let values_out = Scatter::new(value_panels.lanes_mut().as_flattened_mut(), LANES * value_end);
        cpu.pool.run(sequences.len() * heads, &|index| {
            let (sequence, head) = (&sequences[index / heads], index % heads);
            let (key_lanes, value_lanes) = (key_lanes(sequence.length), value_lanes(sequence.length));
            let (keys_at, values_at) =
                (sequence.keys + head * key_lanes, sequence.values + head * value_lanes);
            // SAFETY: every head of every sequence has lanes of its own.
            #[allow(unsafe_code, reason = "threads write places of their own")]
            let (key_panels, value_panels) = unsafe {
                (
                    keys_out.part(0, keys_at * LANES, key_lanes * LANES),
                    values_out.part(0, values_at * LANES, value_lanes * LANES),
                )
            };
            pack(sequence, keys, values, head * width, width, key_panels, value_panels);
        });
    }
    let (key_panels, value_panels) = (key_panels.lanes(), value_panels.lanes());
    let mut pieces = Vec::new();
    for (index, sequence) in sequences.iter().enumerate() {
        for head in 0..heads {
            pieces.extend((0..sequence.length).step_by(ROWS_PER_PIECE).map(|from| (index, head, from)));
        }
    }
    let out_width = out.width;
    let out = Scatter::new(&mut out.values, out_width);
    let (count, size) = cpu.pieces(pieces.len());
    cpu.pool.run(count, &|index| {
        let mut scores = Vec::new();
        for (sequence, head, from) in pieces.iter().skip(index * size).take(size) {
            let sequence = &sequences[*sequence];
            let (key_lanes, value_lanes) = (key_lanes(sequence.length), value_lanes(sequence.length));
            let keys = &key_panels[sequence.keys + head * key_lanes..][..key_lanes];
            let values = &value_panels[sequence.values + head * value_lanes..][..value_lanes];
            let to = (from + ROWS_PER_PIECE).min(sequence.length);
            for row in (*from..to).step_by(ROWS) {
                let count = ROWS.min(to - row);
                let row = sequence.first + row;
                let queries = &queries.values[row * queries.width + head * width..];
                let panels = (keys, values, sequence.length);
                let mixed = attend(cpu.isa, (queries, count), out_width, width, panels, &mut scores);
                for (at, mixed) in mixed.as_flattened().chunks_exact(mixed.len() / count * LANES).enumerate()
                {
                    // SAFETY: every row and head is in one piece alone.
                    #[allow(unsafe_code, reason = "threads write places of their own")]
                    let part = unsafe { out.part(row + at, head * width, width) };
                    part.copy_from_slice(&mixed[..width]);
                }
            }
        }
    });
}

/// Keys and values of one head in panels. Keys carry the scale of their products with queries.
fn pack(
    sequence: &Sequence,
    keys: &Tensor,
    values: &Tensor,
    column: usize,
    width: usize,
    key_panels: &mut [f32],
    value_panels: &mut [f32],
) {
    let scale = 1.0 / (width as f32).sqrt();
    let (key_panels, value_panels) =
        (key_panels.as_chunks_mut::<LANES>().0, value_panels.as_chunks_mut::<LANES>().0);
    for at in 0..sequence.length {
        let keys = &keys.row(sequence.first + at)[column..column + width];
        let panel = &mut key_panels[at / LANES * width..][..width];
        panel.iter_mut().zip(keys).for_each(|(lanes, key)| lanes[at % LANES] = key * scale);
        let values = &values.row(sequence.first + at)[column..column + width];
        for (panel, values) in values.chunks(LANES).enumerate() {
            value_panels[panel * sequence.length + at][..values.len()].copy_from_slice(values);
        }
    }
}

/// What up to [`ROWS`] rows of queries see: for each row all columns of the head, in lanes. `scores` is working space, and holds the result.
fn attend<'s>(
    isa: Isa,
    (queries, count): (&[f32], usize),
    stride: usize,
    width: usize,
    (keys, values, length): (&[[f32; LANES]], &[[f32; LANES]], usize),
    scores: &'s mut Vec<[f32; LANES]>,
) -> &'s [[f32; LANES]] {
    let (blocks, columns) = (length.div_ceil(LANES), width.div_ceil(LANES));
    scores.clear();
    scores.resize(count * (blocks + columns), [0.0; LANES]);
    let (scores, mixed) = scores.split_at_mut(count * blocks);
    panels::product(isa, (queries, count), stride, Panels::Full(keys), width, scores);
    for row in scores.chunks_exact_mut(blocks) {
        rows::softmax(isa, &mut row.as_flattened_mut()[..length], length);
    }
    let values = Panels::Full(values);
    panels::product(isa, (scores.as_flattened(), count), blocks * LANES, values, length, mixed);
    mixed
}
