//! 3×3 convolutions by Winograd's minimal filtering, F(4×4, 3×3) with the points 0, ±1, ±2 and ∞ (Lavin and Gray, arXiv:1509.09308):
//! 36 products of small matrices for every 16 pixels instead of 144, between transforms of the pictures and of the weights.
//!
//! Numbers stand channel behind channel, so every transform is one of 16 channels at a time.

use super::isa::{fma, versions};
use super::panels::{self, LANES, Lines, Panels, ROWS};
use super::pool::Scatter;
use super::{Cpu, Tensor};
use crate::kernels::image::{Convolution, Size};

/// Pixels of a square's side that are computed together.
const SIDE: usize = 4;
/// Pixels of a side that they depend on.
const SEEN: usize = SIDE + 2;
/// Products for each square.
const POINTS: usize = SEEN * SEEN;
/// Squares whose products are one piece of work: a whole number of the product's rows.
const SQUARES: usize = 4 * ROWS;

type Lanes = [f32; LANES];

/// A convolution's weights, transformed.
#[derive(Debug)]
pub struct Filter {
    inputs: usize,
    outputs: usize,
    /// For each point and each [`LANES`] outputs: a row of them for each input.
    panels: Lines,
    /// For each [`LANES`] outputs.
    bias: Vec<Lanes>,
    slopes: Vec<Lanes>,
}

impl Filter {
    pub(super) fn new(convolution: Convolution<'_>) -> Self {
        let Convolution { inputs, weights, bias, slopes } = convolution;
        let outputs = bias.len();
        assert!(inputs > 0 && outputs > 0, "convolution: shapes");
        assert!(weights.len() == outputs * inputs * 9 && slopes.len() == outputs, "convolution: shapes");
        let blocks = outputs.div_ceil(LANES);
        let mut panels = Lines::new(POINTS * blocks * inputs);
        let places = panels.lanes_mut();
        for (output, weights) in weights.chunks_exact(inputs * 9).enumerate() {
            for (input, weights) in weights.as_chunks::<9>().0.iter().enumerate() {
                for (point, value) in transform_weights(weights).into_iter().enumerate() {
                    places[(point * blocks + output / LANES) * inputs + input][output % LANES] = value;
                }
            }
        }
        let lanes = |values: &[f32]| {
            values
                .chunks(LANES)
                .map(|values| std::array::from_fn(|at| *values.get(at).unwrap_or(&0.0)))
                .collect()
        };
        Self { inputs, outputs, panels, bias: lanes(bias), slopes: lanes(slopes) }
    }

    pub(super) fn bytes(inputs: usize, outputs: usize) -> u64 {
        ((POINTS * inputs + 2) * outputs.next_multiple_of(LANES) * size_of::<f32>()) as u64
    }
}

/// What a thread computes in.
pub(super) fn scratch_bytes(inputs: usize, outputs: usize) -> u64 {
    let products = product_step(outputs.div_ceil(LANES)) * LANES;
    (POINTS * (SQUARES * seen_stride(inputs) + products) * size_of::<f32>()) as u64
}

/// Numbers of a square at one point: the last part's last 16 channels are written whole.
fn seen_stride(inputs: usize) -> usize {
    inputs.next_multiple_of(LANES) + LANES
}

/// Lanes of all squares' products at one point. One more than they are: the points of a square are read together, and with an even
/// number of lines between them they would share a few sets of the processor's cache.
fn product_step(blocks: usize) -> usize {
    SQUARES * blocks + 1
}

/// `G g Gᵀ`, in double precision: it is done once.
fn transform_weights(weights: &[f32; 9]) -> [f32; POINTS] {
    let once = |g: [f64; 3]| {
        let [even, odd] = [(g[0] + g[2]) / 6.0, g[1] / 6.0];
        let [far_even, far_odd] = [g[0] / 24.0 + g[2] / 6.0, g[1] / 12.0];
        [g[0] / 4.0, -even - odd, odd - even, far_even + far_odd, far_even - far_odd, g[2]]
    };
    let rows: [[f64; SEEN]; 3] =
        std::array::from_fn(|row| once(std::array::from_fn(|column| f64::from(weights[row * 3 + column]))));
    let mut out = [0.0; POINTS];
    for column in 0..SEEN {
        for (row, value) in once([rows[0][column], rows[1][column], rows[2][column]]).into_iter().enumerate()
        {
            out[row * SEEN + column] = value as f32;
        }
    }
    out
}

/// See [`crate::kernels::image::ImageKernels::conv3x3`].
pub(super) fn convolve(cpu: &Cpu, parts: &[&Tensor], size: Size, filter: &Filter, out: &mut Tensor) {
    let inputs: usize = parts.iter().map(|part| part.width).sum();
    assert!(parts.iter().all(|part| part.rows() == size.pixels()), "convolution: shapes");
    assert_eq!(
        (inputs, out.width, out.rows()),
        (filter.inputs, filter.outputs, size.pixels()),
        "convolution: shapes"
    );
    let lines = size.height.div_ceil(SIDE);
    let (count, each) = cpu.pieces(lines);
    let total = out.values.len();
    let places = Scatter::new(&mut out.values, total);
    let line_values = SIDE * size.width * filter.outputs;
    cpu.pool.run(count, &|index| {
        let mut work = Work::new(inputs, filter.outputs);
        for line in index * each..((index + 1) * each).min(lines) {
            let start = line * line_values;
            // SAFETY: every line of squares is one piece's alone.
            #[allow(unsafe_code, reason = "threads write places of their own")]
            let out = unsafe { places.part(0, start, line_values.min(total - start)) };
            for first in (0..size.width.div_ceil(SIDE)).step_by(SQUARES) {
                let count = SQUARES.min(size.width.div_ceil(SIDE) - first);
                for square in 0..count {
                    let mut channel = 0;
                    for part in parts {
                        let place = (line * SIDE, (first + square) * SIDE);
                        let into = square * work.stride + channel;
                        see(
                            cpu.isa,
                            &part.values,
                            part.width,
                            size,
                            place,
                            &mut work.seen[into..],
                            work.step,
                        );
                        channel += part.width;
                    }
                }
                work.multiply(cpu, filter, count);
                for square in 0..count {
                    give(
                        cpu.isa,
                        work.products.lanes(),
                        square,
                        filter,
                        size.width,
                        (first + square) * SIDE,
                        out,
                    );
                }
            }
        }
    });
}

/// One thread's squares, transformed, and their products.
struct Work {
    /// Numbers of a square at one point, and of all squares at one point.
    stride: usize,
    step: usize,
    seen: Vec<f32>,
    products: Lines,
}

impl Work {
    fn new(inputs: usize, outputs: usize) -> Self {
        let stride = seen_stride(inputs);
        let products = Lines::new(POINTS * product_step(outputs.div_ceil(LANES)));
        Self { stride, step: SQUARES * stride, seen: vec![0.0; POINTS * SQUARES * stride], products }
    }

    fn multiply(&mut self, cpu: &Cpu, filter: &Filter, squares: usize) {
        let blocks = filter.bias.len();
        let seen = self.seen.chunks_exact(self.step);
        let panels = filter.panels.lanes().chunks_exact(blocks * filter.inputs);
        let products = self.products.lanes_mut().chunks_exact_mut(product_step(blocks));
        for ((seen, panels), products) in seen.zip(panels).zip(products) {
            for first in (0..squares).step_by(ROWS) {
                let rows = &seen[first * self.stride..(first + ROWS) * self.stride];
                let out = &mut products[first * blocks..(first + ROWS) * blocks];
                let panels = Panels::Full(panels);
                panels::product(cpu.isa, (rows, ROWS), self.stride, panels, filter.inputs, out);
            }
        }
    }
}

versions!(
    /// `Bᵀ d B` of the square whose outputs begin at `place`, for all channels of one part; beyond the picture are zeros. Point `p` goes to
    /// `p·step` in `out`.
    fn see(x: &[f32], width: usize, size: Size, place: (usize, usize), out: &mut [f32], step: usize) = see_body
);

#[inline(always)]
fn see_body<const FUSED: bool>(
    x: &[f32],
    width: usize,
    size: Size,
    place: (usize, usize),
    out: &mut [f32],
    step: usize,
) {
    for channel in (0..width).step_by(LANES) {
        let count = LANES.min(width - channel);
        let mut half = [[[0.0; LANES]; SEEN]; SEEN];
        for (row, half) in half.iter_mut().enumerate() {
            let mut seen = [[0.0; LANES]; SEEN];
            // One pixel before the square: row 0 lies above it.
            let line = (place.0 + row).wrapping_sub(1);
            if line < size.height {
                for (at, seen) in seen.iter_mut().enumerate() {
                    let column = (place.1 + at).wrapping_sub(1);
                    if column < size.width {
                        let source = &x[(line * size.width + column) * width + channel..];
                        match source.first_chunk() {
                            Some(source) if count == LANES => *seen = *source,
                            _ => seen[..count].copy_from_slice(&source[..count]),
                        }
                    }
                }
            }
            *half = seen_once::<FUSED>(&seen);
        }
        for column in 0..SEEN {
            let values = seen_once::<FUSED>(&half.each_ref().map(|row| row[column]));
            for (row, values) in values.iter().enumerate() {
                let at = (row * SEEN + column) * step + channel;
                out[at..at + LANES].copy_from_slice(values);
            }
        }
    }
}

/// `Bᵀ d`.
#[inline(always)]
fn seen_once<const FUSED: bool>(d: &[Lanes; SEEN]) -> [Lanes; SEEN] {
    let mut out = [[0.0; LANES]; SEEN];
    for lane in 0..LANES {
        let d: [f32; SEEN] = [d[0][lane], d[1][lane], d[2][lane], d[3][lane], d[4][lane], d[5][lane]];
        let (even, odd) = (fma::<FUSED>(-4.0, d[2], d[4]), fma::<FUSED>(-4.0, d[1], d[3]));
        let (far_even, far_odd) = (d[4] - d[2], 2.0 * (d[3] - d[1]));
        out[0][lane] = fma::<FUSED>(4.0, d[0], fma::<FUSED>(-5.0, d[2], d[4]));
        out[1][lane] = even + odd;
        out[2][lane] = even - odd;
        out[3][lane] = far_even + far_odd;
        out[4][lane] = far_even - far_odd;
        out[5][lane] = fma::<FUSED>(4.0, d[1], fma::<FUSED>(-5.0, d[3], d[5]));
    }
    out
}

versions!(
    /// `Aᵀ m A` of one square, with bias and slopes, into the lines of pixels `out`, from `column` on.
    fn give(products: &[Lanes], square: usize, filter: &Filter, width: usize, column: usize, out: &mut [f32]) = give_body
);

#[inline(always)]
fn give_body<const FUSED: bool>(
    products: &[Lanes],
    square: usize,
    filter: &Filter,
    width: usize,
    column: usize,
    out: &mut [f32],
) {
    let (blocks, outputs) = (filter.bias.len(), filter.outputs);
    let columns = SIDE.min(width - column);
    for (block, (bias, slopes)) in filter.bias.iter().zip(&filter.slopes).enumerate() {
        let count = LANES.min(outputs - block * LANES);
        let at = |point: usize| &products[point * product_step(blocks) + square * blocks + block];
        let mut half = [[[0.0; LANES]; SIDE]; SEEN];
        for (row, half) in half.iter_mut().enumerate() {
            *half = given_once::<FUSED>(std::array::from_fn(|column| at(row * SEEN + column)));
        }
        let mut values = [[[0.0; LANES]; SIDE]; SIDE];
        for (at, values) in values.iter_mut().enumerate() {
            *values = given_once::<FUSED>(std::array::from_fn(|row| &half[row][at]));
            // No `for_each`: it would be compiled for any processor.
            for value in values.iter_mut() {
                *value = activated(value, bias, slopes);
            }
        }
        for (row, line) in out.chunks_exact_mut(width * outputs).enumerate() {
            for (at, values) in values.iter().enumerate().take(columns) {
                let from = (column + at) * outputs + block * LANES;
                match line[from..].first_chunk_mut() {
                    Some(place) if count == LANES => *place = values[row],
                    _ => line[from..from + count].copy_from_slice(&values[row][..count]),
                }
            }
        }
    }
}

/// With the bias, and sloped below 0. The products are made whether they are chosen or not, so that nothing branches.
#[inline(always)]
fn activated(value: &Lanes, bias: &Lanes, slopes: &Lanes) -> Lanes {
    let sums: Lanes = std::array::from_fn(|lane| value[lane] + bias[lane]);
    let sloped: Lanes = std::array::from_fn(|lane| sums[lane] * slopes[lane]);
    std::array::from_fn(|lane| if sums[lane] < 0.0 { sloped[lane] } else { sums[lane] })
}

/// `Aᵀ m`.
#[inline(always)]
fn given_once<const FUSED: bool>(m: [&Lanes; SEEN]) -> [Lanes; SIDE] {
    let mut out = [[0.0; LANES]; SIDE];
    for lane in 0..LANES {
        let (sum, difference) = (m[1][lane] + m[2][lane], m[1][lane] - m[2][lane]);
        let (far_sum, far_difference) = (m[3][lane] + m[4][lane], m[3][lane] - m[4][lane]);
        out[0][lane] = m[0][lane] + sum + far_sum;
        out[1][lane] = fma::<FUSED>(2.0, far_difference, difference);
        out[2][lane] = fma::<FUSED>(4.0, far_sum, sum);
        out[3][lane] = fma::<FUSED>(8.0, far_difference, difference) + m[5][lane];
    }
    out
}
