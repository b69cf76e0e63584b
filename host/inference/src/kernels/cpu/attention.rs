//! Attention over pages of keys and values.
//!
//! A page holds keys with the token innermost, `[width][16 tokens]`, and values with the width innermost, padded to whole
//! registers: both products then run down registers, without a sum across one.

use super::isa::{Isa, fma, versions};
use super::rows::exp;
#[cfg(target_arch = "x86_64")]
use super::{isa::Level, wide};
use crate::kernels::{PAGE_TOKENS, PageShape};

/// Rows of queries that share each look at a page.
pub const ROWS: usize = 4;

/// Keys and values of [`PAGE_TOKENS`] tokens, for every block and head.
#[derive(Debug)]
pub struct Page {
    shape: PageShape,
    /// Keys, then values, of each head of each block.
    values: Vec<f32>,
}

/// A head's width in whole registers.
pub fn padded(width: usize) -> usize {
    width.next_multiple_of(16)
}

impl Page {
    /// Zeros.
    pub fn new(shape: PageShape) -> Self {
        let floats = shape.blocks * shape.kv_heads * 2 * PAGE_TOKENS * padded(shape.head_width);
        Self { shape, values: vec![0.0; floats] }
    }

    /// The dimensions.
    pub fn shape(&self) -> PageShape {
        self.shape
    }

    /// Keys and values of one head.
    #[inline(always)]
    pub fn head(&self, block: usize, head: usize) -> (&[f32], &[f32]) {
        let half = PAGE_TOKENS * padded(self.shape.head_width);
        self.values[(block * self.shape.kv_heads + head) * 2 * half..][..2 * half].split_at(half)
    }

    /// Put one token's keys and values, head after head, into `slot`.
    pub fn put(&mut self, block: usize, slot: usize, keys: &[f32], values: &[f32]) {
        let width = self.shape.head_width;
        let half = PAGE_TOKENS * padded(width);
        let start = block * self.shape.kv_heads * 2 * half;
        let heads = self.values[start..].chunks_exact_mut(2 * half);
        for ((page, key), value) in heads.zip(keys.chunks_exact(width)).zip(values.chunks_exact(width)) {
            let (page_keys, page_values) = page.split_at_mut(half);
            for (at, key) in key.iter().enumerate() {
                page_keys[at * PAGE_TOKENS + slot] = *key;
            }
            page_values[slot * padded(width)..][..width].copy_from_slice(value);
        }
    }
}

/// Where a piece of attention looks.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The sequence's pages.
    pub pages: &'a [&'a Page],
    /// The block of the model.
    pub block: usize,
    /// The key head.
    pub head: usize,
    /// How many tokens each row of queries sees.
    pub limits: [usize; ROWS],
}

versions!(
    /// [`ROWS`] rows of queries, `[width]` each, over the pages; `out` is `[ROWS][padded width]`. `scores` is working space.
    pub fn attend(
        view: View<'_>,
        queries: [&[f32]; ROWS],
        scores: &mut Vec<[[f32; PAGE_TOKENS]; ROWS]>,
        out: &mut [f32],
        inner: Isa,
    ) = attend_body
);

#[inline(always)]
fn attend_body<const FUSED: bool>(
    view: View<'_>,
    queries: [&[f32]; ROWS],
    scores: &mut Vec<[[f32; PAGE_TOKENS]; ROWS]>,
    out: &mut [f32],
    inner: Isa,
) {
    let width = queries[0].len();
    let seen = view.limits.iter().fold(0, |most, limit| most.max(*limit));
    let pages = &view.pages[..seen.div_ceil(PAGE_TOKENS)];
    let scale = 1.0 / (width as f32).sqrt();
    scores.clear();
    let mut most = [f32::NEG_INFINITY; ROWS];
    for (index, page) in pages.iter().enumerate() {
        let keys = page.head(view.block, view.head).0.as_chunks::<PAGE_TOKENS>().0;
        let mut products = key_products::<FUSED>(inner, &keys[..width], queries);
        for ((products, most), limit) in products.iter_mut().zip(&mut most).zip(view.limits) {
            let here = limit.saturating_sub(index * PAGE_TOKENS);
            for (slot, product) in products.iter_mut().enumerate() {
                *product = if slot < here { *product * scale } else { f32::NEG_INFINITY };
            }
            *most = products.iter().fold(*most, |most, score| most.max(*score));
        }
        scores.push(products);
    }
    let mut totals = [[0.0_f32; PAGE_TOKENS]; ROWS];
    for weights in scores.iter_mut() {
        for ((weights, most), totals) in weights.iter_mut().zip(most).zip(&mut totals) {
            for (weight, total) in weights.iter_mut().zip(totals) {
                *weight = if *weight == f32::NEG_INFINITY { 0.0 } else { exp::<FUSED>(*weight - most) };
                *total += *weight;
            }
        }
    }
    let stride = padded(width);
    for column in (0..stride).step_by(16) {
        let mut sums = [[0.0_f32; 16]; ROWS];
        for (page, weights) in pages.iter().zip(scores.iter()) {
            let values = page.head(view.block, view.head).1;
            add_values::<FUSED>(inner, &values[column..], stride, weights, &mut sums);
        }
        for (row, (sums, totals)) in sums.iter().zip(&totals).enumerate() {
            let inverse = 1.0 / totals.iter().sum::<f32>();
            for (out, sum) in out[row * stride + column..][..16].iter_mut().zip(sums) {
                *out = sum * inverse;
            }
        }
    }
}

/// Products of the queries with one page of keys.
#[inline(always)]
fn key_products<const FUSED: bool>(
    isa: Isa,
    keys: &[[f32; PAGE_TOKENS]],
    queries: [&[f32]; ROWS],
) -> [[f32; PAGE_TOKENS]; ROWS] {
    #[cfg(target_arch = "x86_64")]
    if isa.level() == Level::Avx512Vnni {
        return wide::key_products(isa, keys, queries);
    }
    let _ = isa;
    let mut products = [[0.0_f32; PAGE_TOKENS]; ROWS];
    for (at, keys) in keys.iter().enumerate() {
        for (products, query) in products.iter_mut().zip(&queries) {
            for (product, key) in products.iter_mut().zip(keys) {
                *product = fma::<FUSED>(query[at], *key, *product);
            }
        }
    }
    products
}

/// Add 16 columns of one page of values, weighted, to `sums`; `values` has a row each `stride`.
#[inline(always)]
fn add_values<const FUSED: bool>(
    isa: Isa,
    values: &[f32],
    stride: usize,
    weights: &[[f32; PAGE_TOKENS]; ROWS],
    sums: &mut [[f32; 16]; ROWS],
) {
    #[cfg(target_arch = "x86_64")]
    if isa.level() == Level::Avx512Vnni {
        return wide::add_values(isa, values, stride, weights, sums);
    }
    let _ = isa;
    for slot in 0..PAGE_TOKENS {
        let values = &values[slot * stride..][..16];
        for (sums, weights) in sums.iter_mut().zip(weights) {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum = fma::<FUSED>(weights[slot], *value, *sum);
            }
        }
    }
}
