//! The operations of picture models against plain loops in double precision, with every instruction set that is here.

use atelier_inference::Precision;
use atelier_inference::gguf::Encoding;
use atelier_inference::kernels::cpu::{Cpu, Isa};
use atelier_inference::kernels::image::{Activation, Convolution, ImageKernels, Size, Taps};
use atelier_inference::kernels::{Kernels, Stored};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Of Winograd's sums in 32 bits, against the root of the sum of squares of what goes into each: measured 1.8e-5 at worst.
const CONVOLUTION_ERROR_MAX: f64 = 5e-5;
/// Of products in 32 bits that are summed tap by tap, on the same scale: measured 4.7e-7 at worst.
const FOLD_ERROR_MAX: f64 = 2e-6;

fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(-1.0_f32..1.0)).collect()
}

fn processors() -> Vec<Cpu> {
    let threads = |isa| [1, 3].map(|threads| Cpu::with_isa(isa, threads).expect("threads"));
    Isa::available().into_iter().flat_map(threads).collect()
}

/// The sum over nine pixels and all channels, and the root of the sum of its squares.
fn convolved(x: &[f32], size: Size, weights: &[f32], bias: &[f32], slopes: &[f32]) -> Vec<(f64, f64)> {
    let inputs = x.len() / size.pixels();
    let mut out = Vec::new();
    for (line, column) in (0..size.pixels()).map(|at| (at / size.width, at % size.width)) {
        for (output, weights) in weights.chunks_exact(inputs * 9).enumerate() {
            let (mut sum, mut squares) = (f64::from(bias[output]), 0.0);
            for (input, weights) in weights.chunks_exact(9).enumerate() {
                for (at, weight) in weights.iter().enumerate() {
                    let (line, column) = ((line + at / 3).wrapping_sub(1), (column + at % 3).wrapping_sub(1));
                    if line < size.height && column < size.width {
                        let product =
                            f64::from(x[(line * size.width + column) * inputs + input]) * f64::from(*weight);
                        sum += product;
                        squares += product * product;
                    }
                }
            }
            let sloped = if sum < 0.0 { sum * f64::from(slopes[output]) } else { sum };
            out.push((sloped, squares.sqrt().max(0.1)));
        }
    }
    out
}

#[test]
fn a_convolution_is_its_sum_over_nine_pixels_and_all_channels() {
    // One pixel, less than a square, whole squares, ragged ones, more squares in a line than one piece of work; channels of the first, the
    // inner and the last layers, and of several parts.
    let mut worst = 0.0_f64;
    for (height, width, parts, outputs) in [
        (1, 1, vec![1], 1),
        (3, 2, vec![3], 5),
        (8, 12, vec![16], 16),
        (9, 13, vec![64], 64),
        (5, 7, vec![64, 32, 3], 32),
        (6, 121, vec![3], 48),
        (17, 6, vec![20], 81),
    ] {
        let size = Size { height, width };
        let inputs: usize = parts.iter().sum();
        let (weights, bias) = (random(outputs * inputs * 9, 1), random(outputs, 2));
        let slopes: Vec<f32> = random(outputs, 3);
        let pictures: Vec<Vec<f32>> =
            parts.iter().zip(4..).map(|(channels, seed)| random(size.pixels() * channels, seed)).collect();
        let mut whole = Vec::new();
        for pixel in 0..size.pixels() {
            for (picture, channels) in pictures.iter().zip(&parts) {
                whole.extend_from_slice(&picture[pixel * channels..(pixel + 1) * channels]);
            }
        }
        let expected = convolved(&whole, size, &weights, &bias, &slopes);
        for cpu in processors() {
            let convolution = Convolution { inputs, weights: &weights, bias: &bias, slopes: &slopes };
            let filter = cpu.filter(convolution).expect("room");
            let tensors: Vec<_> = pictures
                .iter()
                .zip(&parts)
                .map(|(x, channels)| cpu.upload(*channels, x).expect("room"))
                .collect();
            let mut out = cpu.tensor(size.pixels(), outputs).expect("room");
            cpu.conv3x3(&tensors.iter().collect::<Vec<_>>(), size, &filter, &mut out);
            for (at, (found, (expected, scale))) in
                cpu.read(&out).expect("values").into_iter().zip(&expected).enumerate()
            {
                let error = (f64::from(found) - expected).abs() / scale;
                worst = worst.max(error);
                assert!(
                    error <= CONVOLUTION_ERROR_MAX,
                    "{size:?} {parts:?} number {at}: {found}, not {expected}"
                );
            }
        }
    }
    println!("relative error {worst:.1e} at worst");
}

#[test]
fn sums_are_weighted_on_all_threads() {
    let (x, y) = (random(9000, 1), random(9000, 2));
    for cpu in processors() {
        let (x, y) = (cpu.upload(3, &x).expect("room"), cpu.upload(3, &y).expect("room"));
        let mut out = cpu.tensor(3000, 3).expect("room");
        cpu.weighted_sum(&x, &y, [0.25, 2.0], &mut out);
        let (x, y) = (cpu.read(&x).expect("x"), cpu.read(&y).expect("y"));
        let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x * 0.25 + y * 2.0).collect();
        assert_eq!(cpu.read(&out).expect("values"), expected);
    }
}

#[test]
fn channels_become_squares_of_pixels() {
    let size = Size { height: 2, width: 3 };
    let x: Vec<f32> = (0..6 * 8_u8).map(f32::from).collect();
    for cpu in processors() {
        let mut out = cpu.tensor(24, 2).expect("room");
        cpu.pixel_shuffle(&cpu.upload(8, &x).expect("room"), size, 2, &mut out);
        let out = cpu.read(&out).expect("values");
        for (at, found) in out.iter().enumerate() {
            let (line, column, channel) = (at / 12, at / 2 % 6, at % 2);
            let expected = ((line / 2 * 3 + column / 2) * 8 + channel * 4 + line % 2 * 2 + column % 2) as f32;
            assert_eq!(*found, expected, "line {line}, column {column}, channel {channel}");
        }
    }
}

#[test]
fn pixels_are_repeated() {
    for cpu in processors() {
        let mut out = cpu.tensor(18, 1).expect("room");
        cpu.nearest(&cpu.upload(1, &[1.0, 2.0]).expect("room"), Size { height: 1, width: 2 }, 3, &mut out);
        assert_eq!(cpu.read(&out).expect("values"), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0].repeat(3));
    }
}

#[test]
fn a_cubic_resize_keeps_what_is_flat_and_mixes_four_pixels_a_side() {
    for cpu in processors() {
        let flat = cpu.upload(2, &[0.5; 96]).expect("room");
        let mut out = cpu.tensor(27, 2).expect("room");
        cpu.cubic(&flat, Size { height: 4, width: 12 }, Size { height: 3, width: 9 }, &mut out);
        assert!(cpu.read(&out).expect("values").iter().all(|found| (found - 0.5).abs() < 1e-6));
        // To a half, the weights are -3/32, 19/32, 19/32, -3/32; beyond the border is the border.
        let line = cpu.upload(1, &[32.0, 0.0, 0.0, 0.0, 0.0, 64.0]).expect("room");
        let mut out = cpu.tensor(3, 1).expect("room");
        cpu.cubic(&line, Size { height: 1, width: 6 }, Size { height: 1, width: 3 }, &mut out);
        let found = cpu.read(&out).expect("values");
        assert!((found[0] - 16.0).abs() < 1e-4 && found[1].abs() < 1e-4 && (found[2] - 32.0).abs() < 1e-4);
    }
}

/// `[pixels, outputs]`, each with the root of the sum of squares of what goes into it. `weights` are `[inputs, outputs, side, side]`.
fn transposed(x: &[f32], size: Size, weights: &[f32], bias: &[f32], taps: Taps) -> Vec<(f64, f64)> {
    let (inputs, outputs, to) = (x.len() / size.pixels(), bias.len(), taps.spread(size));
    let start = bias.iter().cycle().take(to.pixels() * outputs);
    let mut out: Vec<(f64, f64)> = start.map(|bias| (f64::from(*bias), 0.01)).collect();
    let square = taps.side * taps.side;
    for (at, x) in x.iter().enumerate() {
        let (pixel, input) = (at / inputs, at % inputs);
        for (at, weight) in
            weights[input * outputs * square..(input + 1) * outputs * square].iter().enumerate()
        {
            let (output, line, column) = (at / square, at % square / taps.side, at % taps.side);
            let line = (pixel / size.width * taps.stride + line).wrapping_sub(taps.padding);
            let column = (pixel % size.width * taps.stride + column).wrapping_sub(taps.padding);
            if line < to.height && column < to.width {
                let product = f64::from(*x) * f64::from(*weight);
                let place = &mut out[(line * to.width + column) * outputs + output];
                *place = (place.0 + product, place.1 + product * product);
            }
        }
    }
    out.into_iter().map(|(sum, squares)| (sum, squares.sqrt())).collect()
}

#[test]
fn a_product_and_a_fold_are_a_transposed_convolution() {
    let mut worst = 0.0_f64;
    // The generator's first layer and its others; no overlap; strides that leave gaps; one line; more than one thread's piece.
    for (height, width, inputs, outputs, side, stride, padding) in [
        (1, 1, 100, 32, 4, 1, 0),
        (4, 4, 64, 32, 4, 2, 1),
        (3, 5, 7, 3, 3, 1, 1),
        (2, 3, 5, 2, 2, 2, 0),
        (3, 2, 4, 3, 2, 3, 0),
        (1, 6, 3, 5, 5, 3, 2),
        (32, 32, 16, 3, 4, 2, 1),
    ] {
        let (size, taps) = (Size { height, width }, Taps { side, stride, padding });
        let square = side * side;
        let (x, bias) = (random(size.pixels() * inputs, 1), random(outputs, 2));
        let weights = random(inputs * outputs * square, 3);
        let expected = transposed(&x, size, &weights, &bias, taps);
        let mut rows = vec![0.0_f32; weights.len()];
        for (at, weight) in weights.iter().enumerate() {
            let (input, output, tap) = (at / outputs / square, at / square % outputs, at % square);
            rows[(tap * outputs + output) * inputs + input] = *weight;
        }
        let bytes: Vec<u8> = rows.iter().flat_map(|weight| weight.to_le_bytes()).collect();
        for cpu in processors() {
            let stored =
                Stored { encoding: Encoding::F32, rows: square * outputs, columns: inputs, bytes: &bytes };
            let matrix = cpu.matrix(stored, Precision::Exact).expect("room");
            let mut spread = cpu.tensor(size.pixels(), square * outputs).expect("room");
            cpu.linear(&cpu.upload(inputs, &x).expect("room"), &mut [(&matrix, &mut spread)]);
            let bias = cpu.upload(outputs, &bias).expect("room");
            for activation in [Activation::Relu, Activation::Tanh] {
                let mut out = cpu.tensor(taps.spread(size).pixels(), outputs).expect("room");
                cpu.fold(&spread, size, taps, &bias, activation, &mut out);
                for (found, (sum, scale)) in cpu.read(&out).expect("values").into_iter().zip(&expected) {
                    let expected = if activation == Activation::Relu { sum.max(0.0) } else { sum.tanh() };
                    let error = (f64::from(found) - expected).abs() / scale.max(0.1);
                    worst = worst.max(error);
                    assert!(error <= FOLD_ERROR_MAX, "{size:?} {taps:?}: {found}, not {expected}");
                }
            }
        }
    }
    println!("relative error {worst:.1e} at worst");
}
