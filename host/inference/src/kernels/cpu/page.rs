//! Pages of keys and values.
//!
//! A page holds keys with the token innermost, `[width][16 tokens]`, and values with the width innermost, padded to whole
//! registers: products with both then run down registers, without a sum across one.

use half::f16;
use half::slice::{HalfBitsSliceExt as _, HalfFloatSliceExt as _};

use super::isa::widen;
#[cfg(target_arch = "x86_64")]
use super::panels::{FULL, HALF};
use super::panels::{LANES, Lines};
use crate::kernels::{PAGE_TOKENS, PageShape};
use crate::llama::Precision;

const _: () = assert!(PAGE_TOKENS == LANES, "a row of keys is a row of lanes");

/// Keys and values of [`PAGE_TOKENS`] tokens, for every block and head.
#[derive(Debug)]
pub struct Page {
    shape: PageShape,
    numbers: Numbers,
}

/// Keys, then values, of each head of each block.
#[derive(Debug)]
enum Numbers {
    Full(Lines<f32>),
    /// 16-bit floats (IEEE 754).
    Half(Lines<u16>),
}

/// Keys and values of one head.
#[derive(Debug)]
pub enum Head<'a> {
    Full(Rows<'a, f32>),
    Half(Rows<'a, u16>),
}

/// The same, as they lie in memory.
#[derive(Debug)]
pub struct Rows<'a, T> {
    /// A row for each number of the head.
    pub keys: &'a [[T; LANES]],
    /// `padded / 16` rows for each token.
    pub values: &'a [[T; LANES]],
}

/// A number of a page: a 32-bit float, or the bits of a 16-bit one.
pub trait Number: Copy {
    /// What it is to code that loads it.
    #[cfg(target_arch = "x86_64")]
    const FORM: u8;

    /// As 32-bit floats, exactly.
    fn wide(lanes: &[Self; LANES]) -> [f32; LANES];
}

impl Number for f32 {
    #[cfg(target_arch = "x86_64")]
    const FORM: u8 = FULL;

    #[inline(always)]
    fn wide(lanes: &[Self; LANES]) -> [f32; LANES] {
        *lanes
    }
}

impl Number for u16 {
    #[cfg(target_arch = "x86_64")]
    const FORM: u8 = HALF;

    #[inline(always)]
    fn wide(lanes: &[Self; LANES]) -> [f32; LANES] {
        widen(lanes)
    }
}

/// A head's width in whole registers.
pub fn padded(width: usize) -> usize {
    width.next_multiple_of(LANES)
}

impl Page {
    /// Zeros.
    pub fn new(shape: PageShape) -> Self {
        let count = shape.numbers() / LANES;
        let numbers = match shape.precision {
            Precision::Exact => Numbers::Full(Lines::new(count)),
            Precision::Fast => Numbers::Half(Lines::new(count)),
        };
        Self { shape, numbers }
    }

    /// Bytes of one.
    pub fn bytes(shape: PageShape) -> u64 {
        let each = match shape.precision {
            Precision::Exact => size_of::<f32>(),
            Precision::Fast => size_of::<u16>(),
        };
        (shape.numbers() * each) as u64
    }

    /// The dimensions.
    pub fn shape(&self) -> PageShape {
        self.shape
    }

    /// Keys and values of one head.
    #[inline(always)]
    pub fn head(&self, block: usize, head: usize) -> Head<'_> {
        let place = (block * self.shape.kv_heads + head, padded(self.shape.head_width));
        match &self.numbers {
            Numbers::Full(lines) => Head::Full(rows(lines.lanes(), place)),
            Numbers::Half(lines) => Head::Half(rows(lines.lanes(), place)),
        }
    }

    /// Put one token's keys and values, head after head, into `slot`.
    pub fn put(&mut self, block: usize, slot: usize, keys: &[f32], values: &[f32]) {
        let PageShape { kv_heads, head_width, .. } = self.shape;
        let rows = 2 * padded(head_width);
        let heads = block * kv_heads * rows..(block + 1) * kv_heads * rows;
        match &mut self.numbers {
            Numbers::Full(lines) => {
                let lanes = &mut lines.lanes_mut()[heads];
                put(lanes, slot, head_width, keys, values, <[f32]>::copy_from_slice);
            }
            Numbers::Half(lines) => {
                let lanes = &mut lines.lanes_mut()[heads];
                put(lanes, slot, head_width, keys, values, |halves: &mut [u16], floats| {
                    halves.reinterpret_cast_mut::<f16>().convert_from_f32_slice(floats);
                });
            }
        }
    }
}

#[inline(always)]
fn rows<T>(lanes: &[[T; LANES]], (head, padded): (usize, usize)) -> Rows<'_, T> {
    let (keys, values) = lanes[head * 2 * padded..][..2 * padded].split_at(padded);
    Rows { keys, values }
}

/// [`Page::put`] into the lanes of a block.
fn put<T: Copy + Default>(
    lanes: &mut [[T; LANES]],
    slot: usize,
    width: usize,
    keys: &[f32],
    values: &[f32],
    convert: impl Fn(&mut [T], &[f32]),
) {
    let padded = padded(width);
    let mut converted = vec![T::default(); width];
    let heads = lanes.chunks_exact_mut(2 * padded);
    for ((head, key), value) in heads.zip(keys.chunks_exact(width)).zip(values.chunks_exact(width)) {
        let (head_keys, head_values) = head.split_at_mut(padded);
        convert(&mut converted, key);
        for (lanes, key) in head_keys.iter_mut().zip(&converted) {
            lanes[slot] = *key;
        }
        convert(&mut head_values.as_flattened_mut()[slot * padded..][..width], value);
    }
}
