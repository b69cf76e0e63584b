//! Sound on the processor. Convolutions are products with rows unfolded: the products have the threads.

use super::attention::{ROWS, View};
use super::page::{Head, Number};
use super::{Cpu, Matrix, Page, Tensor, product, rows};
use crate::kernels::PAGE_TOKENS;
use crate::kernels::audio::AudioKernels;

/// Moments that are unfolded at a time: bounds the working space.
const UNFOLDED_ROWS: usize = 256;

impl AudioKernels for Cpu {
    fn conv1d(&self, x: &Tensor, weight: &Matrix, stride: usize, padding: usize, out: &mut Tensor) {
        let (moments, channels, columns) = (x.rows(), x.width, weight.columns());
        assert!(channels > 0 && columns.is_multiple_of(channels), "conv1d: shapes");
        assert!(out.width == weight.rows() && stride > 0, "conv1d: shapes");
        let width = out.width;
        let total = out.rows();
        for first in (0..total).step_by(UNFOLDED_ROWS) {
            let count = UNFOLDED_ROWS.min(total - first);
            let mut unfolded = Tensor { width: columns, values: vec![0.0; count * columns] };
            for (row, unfolded) in (first..).zip(unfolded.values.chunks_exact_mut(columns)) {
                // Positions in the padded sequence, cut to what is there.
                let (start, end) = (row * stride, row * stride + columns / channels);
                let from = start.clamp(padding, padding + moments);
                let to = end.clamp(from, padding + moments);
                let values = &x.values[(from - padding) * channels..(to - padding) * channels];
                unfolded[(from - start) * channels..][..values.len()].copy_from_slice(values);
            }
            let mut part = Tensor { width, values: vec![0.0; count * width] };
            product::linear(self.isa, &self.pool, &unfolded, &mut [(weight, &mut part)]);
            out.values[first * width..(first + count) * width].copy_from_slice(&part.values);
        }
    }

    fn power(&self, x: &Tensor, out: &mut Tensor) {
        assert_eq!((x.rows(), x.width), (out.rows(), 2 * out.width), "power: shapes");
        let width = out.width;
        for (x, out) in x.values.chunks_exact(2 * width).zip(out.values.chunks_exact_mut(width)) {
            let (real, imaginary) = x.split_at(width);
            for ((out, real), imaginary) in out.iter_mut().zip(real).zip(imaginary) {
                *out = real * real + imaginary * imaginary;
            }
        }
    }

    fn attend_across(&self, queries: &Tensor, block: usize, pages: &[Page], length: usize, out: &mut Tensor) {
        assert!(length > 0 && length <= pages.len() * PAGE_TOKENS, "attention: pages");
        let width = pages[0].shape().head_width;
        let pages: Vec<_> = pages.iter().collect();
        let mut pieces = Vec::new();
        for head in 0..pages[0].shape().kv_heads {
            for start in (0..queries.rows()).step_by(ROWS) {
                let end = (start + ROWS).min(queries.rows());
                let places = (start..end).map(|row| (row, head)).collect();
                pieces.push((places, View { pages: &pages, block, head, limits: [length; ROWS] }));
            }
        }
        self.attend_pieces(queries, width, &pieces, out);
    }

    fn attention_across(
        &self,
        queries: &Tensor,
        block: usize,
        head: usize,
        pages: &[Page],
        out: &mut Tensor,
    ) {
        let length = out.width;
        assert!(length > 0 && length <= pages.len() * PAGE_TOKENS, "attention: pages");
        assert_eq!(queries.rows(), out.rows(), "attention: shapes");
        let width = pages[0].shape().head_width;
        let scale = 1.0 / (width as f32).sqrt();
        for (row, out) in out.values.chunks_exact_mut(length).enumerate() {
            let query = &queries.row(row)[head * width..(head + 1) * width];
            for (page, out) in pages.iter().zip(out.chunks_mut(PAGE_TOKENS)) {
                let sums = match page.head(block, head) {
                    Head::Full(rows) => products(query, rows.keys),
                    Head::Half(rows) => products(query, rows.keys),
                };
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum * scale);
            }
        }
        let width = out.width;
        self.by_rows(out, &|_, rows| rows::softmax(self.isa, rows, width));
    }
}

/// Products of a query with the keys of a page.
fn products<T: Number>(query: &[f32], keys: &[[T; PAGE_TOKENS]]) -> [f32; PAGE_TOKENS] {
    let mut sums = [0.0; PAGE_TOKENS];
    for (query, keys) in query.iter().zip(keys) {
        sums.iter_mut().zip(T::wide(keys)).for_each(|(sum, key)| *sum += query * key);
    }
    sums
}
