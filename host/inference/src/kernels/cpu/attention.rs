//! Attention over pages of keys and values.

use super::isa::{Isa, fma, versions};
use super::page::{Head, Number, Page, padded};
use super::panels::LANES;
use super::rows::exp;
#[cfg(target_arch = "x86_64")]
use super::{isa::Level, wide};
use crate::kernels::PAGE_TOKENS;

/// Rows of queries that share each look at a page.
pub const ROWS: usize = 4;

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
        let mut products = match page.head(view.block, view.head) {
            Head::Full(rows) => key_products::<FUSED, _>(inner, &rows.keys[..width], queries),
            Head::Half(rows) => key_products::<FUSED, _>(inner, &rows.keys[..width], queries),
        };
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
    for column in (0..stride).step_by(LANES) {
        let mut sums = [[0.0_f32; LANES]; ROWS];
        for (page, weights) in pages.iter().zip(scores.iter()) {
            let (first, stride) = (column / LANES, stride / LANES);
            match page.head(view.block, view.head) {
                Head::Full(rows) => {
                    add_values::<FUSED, _>(inner, &rows.values[first..], stride, weights, &mut sums);
                }
                Head::Half(rows) => {
                    add_values::<FUSED, _>(inner, &rows.values[first..], stride, weights, &mut sums);
                }
            }
        }
        for (row, (sums, totals)) in sums.iter().zip(&totals).enumerate() {
            let inverse = 1.0 / totals.iter().sum::<f32>();
            for (out, sum) in out[row * stride + column..][..LANES].iter_mut().zip(sums) {
                *out = sum * inverse;
            }
        }
    }
}

/// Products of the queries with one page of keys.
#[inline(always)]
fn key_products<const FUSED: bool, T: Number>(
    isa: Isa,
    keys: &[[T; LANES]],
    queries: [&[f32]; ROWS],
) -> [[f32; PAGE_TOKENS]; ROWS] {
    #[cfg(target_arch = "x86_64")]
    if isa.level() == Level::Avx512Vnni {
        return wide::key_products(isa, keys, queries);
    }
    let _ = isa;
    let mut products = [[0.0_f32; PAGE_TOKENS]; ROWS];
    for (at, keys) in keys.iter().enumerate() {
        let keys = T::wide(keys);
        for (products, query) in products.iter_mut().zip(&queries) {
            for (product, key) in products.iter_mut().zip(keys) {
                *product = fma::<FUSED>(query[at], key, *product);
            }
        }
    }
    products
}

/// Add 16 columns of one page of values, weighted, to `sums`; `values` has a row each `stride` lanes.
#[inline(always)]
fn add_values<const FUSED: bool, T: Number>(
    isa: Isa,
    values: &[[T; LANES]],
    stride: usize,
    weights: &[[f32; PAGE_TOKENS]; ROWS],
    sums: &mut [[f32; LANES]; ROWS],
) {
    #[cfg(target_arch = "x86_64")]
    if isa.level() == Level::Avx512Vnni {
        return wide::add_values(isa, values, stride, weights, sums);
    }
    let _ = isa;
    for slot in 0..PAGE_TOKENS {
        let values = T::wide(&values[slot * stride]);
        for (sums, weights) in sums.iter_mut().zip(weights) {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum = fma::<FUSED>(weights[slot], value, *sum);
            }
        }
    }
}
