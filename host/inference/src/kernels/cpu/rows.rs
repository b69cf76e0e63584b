//! What is done to rows of activations one number after another: norms, activations, rotation.

use super::isa::{fma, versions};

/// `eˣ` to a relative error of 2⁻²¹, written so that compilers vectorise it; 0 and infinity where it leaves the range.
///
/// `x = n·ln 2 + r`, `eʳ` by a polynomial of Taylor's, `2ⁿ` by its bits.
#[inline(always)]
pub fn exp<const FUSED: bool>(x: f32) -> f32 {
    let clamped = x.clamp(-104.0, 88.7);
    // Rounds to the nearest: see `quantise_body`.
    let rounded = fma::<FUSED>(clamped, std::f32::consts::LOG2_E, 12_582_912.0);
    let n = rounded - 12_582_912.0;
    // ln 2 in two parts, so that the difference keeps its digits.
    let r = fma::<FUSED>(n, -0.693_359_4, clamped);
    let r = fma::<FUSED>(n, 2.121_944_4e-4, r);
    let mut y = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        y = fma::<FUSED>(y, r, coefficient);
    }
    let power = rounded.to_bits() as i32 - 0x4B40_0000;
    // In two steps: 2ⁿ itself may be too small or too large for a float.
    let half = power >> 1;
    let bits = |power: i32| f32::from_bits(((power + 127) << 23) as u32);
    y * bits(half) * bits(power - half)
}

/// Sum in sixteen lanes, so that it vectorises and loses few digits.
#[inline(always)]
fn sum(values: &[f32], mut part: impl FnMut(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let (whole, rest) = values.as_chunks::<16>();
    for chunk in whole {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += part(*value);
        }
    }
    rest.iter().fold(0.0, |sum, value| sum + part(*value)) + lanes.iter().sum::<f32>()
}

/// The largest, in sixteen lanes; minus infinity of none.
#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let most = |most: f32, value: f32| if value > most { value } else { most };
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (whole, rest) = values.as_chunks::<16>();
    for chunk in whole {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = most(*lane, *value);
        }
    }
    rest.iter().chain(&lanes).fold(f32::NEG_INFINITY, |so_far, value| most(so_far, *value))
}

versions!(pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) = rms_norm_body);

#[inline(always)]
fn rms_norm_body<const FUSED: bool>(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = weight.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let inverse = 1.0 / (sum(x, |x| x * x) / width as f32 + epsilon).sqrt();
        for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
            *out = x * inverse * weight;
        }
    }
}

versions!(pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) = layer_norm_body);

#[inline(always)]
fn layer_norm_body<const FUSED: bool>(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
    out: &mut [f32],
) {
    let width = weight.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let mean = sum(x, |x| x) / width as f32;
        let variance = sum(x, |x| (x - mean) * (x - mean)) / width as f32;
        let inverse = 1.0 / (variance + epsilon).sqrt();
        for (((out, x), weight), bias) in out.iter_mut().zip(x).zip(weight).zip(bias) {
            *out = fma::<FUSED>((x - mean) * inverse, *weight, *bias);
        }
    }
}

versions!(pub fn softmax(x: &mut [f32], width: usize) = softmax_body);

#[inline(always)]
fn softmax_body<const FUSED: bool>(x: &mut [f32], width: usize) {
    for row in x.chunks_exact_mut(width) {
        let most = largest(row);
        row.iter_mut().for_each(|x| *x = exp::<FUSED>(*x - most));
        let inverse = 1.0 / sum(row, |x| x);
        row.iter_mut().for_each(|x| *x *= inverse);
    }
}

versions!(pub fn swiglu(gate: &mut [f32], up: &[f32]) = swiglu_body);

#[inline(always)]
fn swiglu_body<const FUSED: bool>(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + exp::<FUSED>(-*gate)) * up;
    }
}

versions!(pub fn gelu(x: &mut [f32]) = gelu_body);

/// The error function by Abramowitz and Stegun, “Handbook of Mathematical Functions”, 7.1.26: to 1.5·10⁻⁷.
#[inline(always)]
fn gelu_body<const FUSED: bool>(x: &mut [f32]) {
    for x in x {
        let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
        let t = 1.0 / fma::<FUSED>(0.327_591_1, z, 1.0);
        let mut y = 1.061_405_4;
        for coefficient in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
            y = fma::<FUSED>(y, t, coefficient);
        }
        // What the error function lacks to 1, so that small tails keep their digits.
        let tail = y * t * exp::<FUSED>(-z * z);
        *x *= if *x > 0.0 { 1.0 - 0.5 * tail } else { 0.5 * tail };
    }
}

versions!(pub fn add(x: &mut [f32], y: &[f32]) = add_body);

#[inline(always)]
fn add_body<const FUSED: bool>(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// Rotate neighbouring pairs of every head of one row.
pub fn rope(row: &mut [f32], cos: &[f32], sin: &[f32]) {
    for head in row.chunks_exact_mut(2 * cos.len()) {
        for ((pair, cos), sin) in head.as_chunks_mut::<2>().0.iter_mut().zip(cos).zip(sin) {
            *pair = [pair[0] * cos - pair[1] * sin, pair[0] * sin + pair[1] * cos];
        }
    }
}
