//! The inner loops of attention in 512-bit registers, which compilers do not find by themselves.
#![allow(
    unsafe_code,
    reason = "vector loads and stores, and functions for instructions that detection found"
)]

use std::arch::x86_64::{__m512, _mm512_fmadd_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps};

use super::attention::ROWS;
use super::isa::{Isa, Level};
use super::page::Number;
use super::panels::{self, FULL, HALF, LANES};
use crate::kernels::PAGE_TOKENS;

/// Products of the queries with one page of keys.
#[inline(always)]
pub fn key_products<T: Number>(
    isa: Isa,
    keys: &[[T; LANES]],
    queries: [&[f32]; ROWS],
) -> [[f32; PAGE_TOKENS]; ROWS] {
    assert_eq!(isa.level(), Level::Avx512Vnni, "for that instruction set alone");
    // SAFETY: an `Isa` of this level exists only where the processor has the feature.
    unsafe { products(keys, queries) }
}

#[target_feature(enable = "avx512f,fma,avx2")]
fn products<T: Number>(keys: &[[T; LANES]], queries: [&[f32]; ROWS]) -> [[f32; PAGE_TOKENS]; ROWS] {
    let queries = queries.map(|query| &query[..keys.len()]);
    let mut sums = [_mm512_setzero_ps(); ROWS];
    for (at, keys) in keys.iter().enumerate() {
        let keys = load(keys);
        for row in 0..ROWS {
            sums[row] = _mm512_fmadd_ps(_mm512_set1_ps(queries[row][at]), keys, sums[row]);
        }
    }
    let mut out = [[0.0; PAGE_TOKENS]; ROWS];
    for row in 0..ROWS {
        store(sums[row], &mut out[row]);
    }
    out
}

/// Add 16 columns of one page of values, weighted, to `sums`; `values` has a row each `stride` lanes.
#[inline(always)]
pub fn add_values<T: Number>(
    isa: Isa,
    values: &[[T; LANES]],
    stride: usize,
    weights: &[[f32; PAGE_TOKENS]; ROWS],
    sums: &mut [[f32; 16]; ROWS],
) {
    assert_eq!(isa.level(), Level::Avx512Vnni, "for that instruction set alone");
    // SAFETY: as above.
    unsafe { add(values, stride, weights, sums) }
}

#[target_feature(enable = "avx512f,fma,avx2")]
fn add<T: Number>(
    values: &[[T; LANES]],
    stride: usize,
    weights: &[[f32; PAGE_TOKENS]; ROWS],
    sums: &mut [[f32; 16]; ROWS],
) {
    let mut totals = [_mm512_setzero_ps(); ROWS];
    for row in 0..ROWS {
        totals[row] = load(&sums[row]);
    }
    for slot in 0..PAGE_TOKENS {
        let values = load(&values[slot * stride]);
        for row in 0..ROWS {
            totals[row] = _mm512_fmadd_ps(_mm512_set1_ps(weights[row][slot]), values, totals[row]);
        }
    }
    for row in 0..ROWS {
        store(totals[row], &mut sums[row]);
    }
}

#[target_feature(enable = "avx512f,avx2")]
#[inline]
fn load<T: Number>(lanes: &[T; LANES]) -> __m512 {
    // SAFETY: they are 16 numbers of that form.
    unsafe {
        match T::FORM {
            FULL => panels::load::<FULL, T>(lanes),
            _ => panels::load::<HALF, T>(lanes),
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store(register: __m512, lanes: &mut [f32; 16]) {
    // SAFETY: 64 writable bytes.
    unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), register) }
}
