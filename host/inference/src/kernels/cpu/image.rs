//! Pictures on the processor.

use super::winograd::{self, Filter};
use super::{Cpu, Tensor};
use crate::error::ModelError;
use crate::kernels::image::{Activation, Convolution, ImageKernels, Size, Taps};

impl ImageKernels for Cpu {
    type Filter = Filter;

    fn filter(&self, convolution: Convolution<'_>) -> Result<Filter, ModelError> {
        Ok(Filter::new(convolution))
    }

    fn filter_bytes(inputs: usize, outputs: usize) -> u64 {
        Filter::bytes(inputs, outputs)
    }

    fn scratch_bytes(&self, inputs: usize, outputs: usize) -> u64 {
        self.pool.threads() as u64 * winograd::scratch_bytes(inputs, outputs)
    }

    fn conv3x3(&self, parts: &[&Tensor], size: Size, filter: &Filter, out: &mut Tensor) {
        winograd::convolve(self, parts, size, filter, out);
    }

    fn weighted_sum(&self, x: &Tensor, y: &Tensor, factors: [f32; 2], out: &mut Tensor) {
        assert!(x.width == y.width && x.width == out.width, "weighted sum: shapes");
        assert!(x.rows() == y.rows() && x.rows() == out.rows(), "weighted sum: shapes");
        let width = x.width;
        self.by_rows(out, &|rows, out| {
            let range = rows.start * width..rows.end * width;
            for ((out, x), y) in out.iter_mut().zip(&x.values[range.clone()]).zip(&y.values[range]) {
                *out = x * factors[0] + y * factors[1];
            }
        });
    }

    fn pixel_shuffle(&self, x: &Tensor, size: Size, factor: usize, out: &mut Tensor) {
        let (from, to) = (x.width, out.width);
        assert!(from == to * factor * factor && x.rows() == size.pixels(), "pixel shuffle: shapes");
        assert_eq!(out.rows(), size.pixels() * factor * factor, "pixel shuffle: shapes");
        let width = size.width * factor;
        self.by_rows(out, &|rows, out| {
            for (row, out) in rows.zip(out.chunks_exact_mut(to)) {
                let (line, column) = (row / width, row % width);
                let source = x.row(line / factor * size.width + column / factor);
                let place = line % factor * factor + column % factor;
                for (channel, out) in out.iter_mut().enumerate() {
                    *out = source[channel * factor * factor + place];
                }
            }
        });
    }

    fn nearest(&self, x: &Tensor, size: Size, factor: usize, out: &mut Tensor) {
        assert!(x.width == out.width && x.rows() == size.pixels(), "nearest: shapes");
        assert_eq!(out.rows(), size.pixels() * factor * factor, "nearest: shapes");
        let (channels, width) = (x.width, size.width * factor);
        self.by_rows(out, &|rows, out| {
            for (row, out) in rows.zip(out.chunks_exact_mut(channels)) {
                out.copy_from_slice(x.row(row / width / factor * size.width + row % width / factor));
            }
        });
    }

    fn cubic(&self, x: &Tensor, from: Size, to: Size, out: &mut Tensor) {
        assert!(x.width == out.width && x.rows() == from.pixels(), "cubic: shapes");
        assert_eq!(out.rows(), to.pixels(), "cubic: shapes");
        let channels = x.width;
        let lines: Vec<_> = (0..to.height).map(|at| taps(at, from.height, to.height)).collect();
        let columns: Vec<_> = (0..to.width).map(|at| taps(at, from.width, to.width)).collect();
        self.by_rows(out, &|rows, out| {
            for (row, out) in rows.zip(out.chunks_exact_mut(channels)) {
                out.fill(0.0);
                for (line, high) in lines[row / to.width] {
                    for (column, wide) in columns[row % to.width] {
                        let source = x.row(line * from.width + column);
                        out.iter_mut().zip(source).for_each(|(out, x)| *out += high * wide * x);
                    }
                }
            }
        });
    }

    fn fold(
        &self,
        x: &Tensor,
        size: Size,
        taps: Taps,
        bias: &Tensor,
        activation: Activation,
        out: &mut Tensor,
    ) {
        let (channels, to) = (out.width, taps.spread(size));
        assert!(x.rows() == size.pixels() && x.width == taps.side * taps.side * channels, "fold: shapes");
        assert!(out.rows() == to.pixels() && bias.values.len() == channels, "fold: shapes");
        self.by_rows(out, &|rows, out| {
            for (row, out) in rows.zip(out.chunks_exact_mut(channels)) {
                out.copy_from_slice(&bias.values);
                for (line, high) in sources(row / to.width, size.height, taps) {
                    for (column, wide) in sources(row % to.width, size.width, taps) {
                        let first = (high * taps.side + wide) * channels;
                        let source = &x.row(line * size.width + column)[first..first + channels];
                        out.iter_mut().zip(source).for_each(|(out, x)| *out += x);
                    }
                }
                match activation {
                    Activation::Relu => out.iter_mut().for_each(|out| *out = out.max(0.0)),
                    Activation::Tanh => out.iter_mut().for_each(|out| *out = out.tanh()),
                }
            }
        });
    }
}

/// The places of a line of `length` that add to place `at` of the larger one, each with its tap.
fn sources(at: usize, length: usize, taps: Taps) -> impl Iterator<Item = (usize, usize)> {
    let at = at + taps.padding;
    (at % taps.stride..taps.side).step_by(taps.stride).filter_map(move |tap| {
        let from = at.checked_sub(tap)? / taps.stride;
        (from < length).then_some((from, tap))
    })
}

/// The four places that number `at` of `to` is mixed of, and their weights.
fn taps(at: usize, from: usize, to: usize) -> [(usize, f32); 4] {
    const A: f64 = -0.75;
    let place = (at as f64 + 0.5) * from as f64 / to as f64 - 0.5;
    let first = place.floor();
    std::array::from_fn(|tap| {
        let tap = first + tap as f64 - 1.0;
        let distance = (place - tap).abs();
        let weight = if distance <= 1.0 {
            ((A + 2.0) * distance - (A + 3.0)) * distance * distance + 1.0
        } else {
            ((A * distance - 5.0 * A) * distance + 8.0 * A) * distance - 4.0 * A
        };
        (tap.clamp(0.0, (from - 1) as f64) as usize, weight as f32)
    })
}
