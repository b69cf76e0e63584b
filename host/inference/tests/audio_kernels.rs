//! The operations of speech models against plain loops in double precision, with every instruction set that is here.

use atelier_inference::Precision;
use atelier_inference::gguf::Encoding;
use atelier_inference::kernels::audio::AudioKernels;
use atelier_inference::kernels::cpu::{Cpu, Isa, Matrix};
use atelier_inference::kernels::{Kernels, PAGE_TOKENS, PageShape, Span, Stored};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Sums of up to 120 products of numbers below 1, in 32 bits.
const DIFFERENCE_MAX: f64 = 2e-5;

fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(-1.0_f32..1.0)).collect()
}

fn processors() -> Vec<Cpu> {
    let threads = |isa| [1, 3].map(|threads| Cpu::with_isa(isa, threads).expect("threads"));
    Isa::available().into_iter().flat_map(threads).collect()
}

fn matrix(cpu: &Cpu, rows: usize, columns: usize, values: &[f32]) -> Matrix {
    let bytes = bytemuck::cast_slice(values);
    cpu.matrix(Stored { encoding: Encoding::F32, rows, columns, bytes }, Precision::Exact).expect("room")
}

#[track_caller]
fn close(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(*found) - expected).abs();
        assert!(difference <= DIFFERENCE_MAX, "number {at}: {found}, not {expected}");
    }
}

#[test]
fn a_convolution_is_its_sum_over_moments_and_channels() {
    // Whisper's two, a short-time transform, one longer than what it sees, and one beyond a piece of unfolded rows.
    for (moments, channels, kernel, stride, padding, outputs) in [
        (20, 5, 3, 1, 1, 18),
        (21, 6, 3, 2, 1, 7),
        (90, 1, 40, 16, 0, 9),
        (2, 3, 9, 1, 4, 4),
        (600, 2, 3, 1, 1, 4),
    ] {
        let rows = (moments + 2 * padding - kernel) / stride + 1;
        let (x, weight) = (random(moments * channels, 1), random(outputs * kernel * channels, 2));
        let mut expected = Vec::new();
        for row in 0..rows {
            for weight in weight.chunks_exact(kernel * channels) {
                let mut sum = 0.0;
                for (at, weight) in weight.chunks_exact(channels).enumerate() {
                    let Some(moment) = (row * stride + at).checked_sub(padding) else { continue };
                    let seen = x.chunks_exact(channels).nth(moment).unwrap_or_default();
                    sum += seen.iter().zip(weight).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>();
                }
                expected.push(sum);
            }
        }
        for cpu in processors() {
            let weight = matrix(&cpu, outputs, kernel * channels, &weight);
            let x = cpu.upload(channels, &x).expect("room");
            let mut out = cpu.tensor(rows, outputs).expect("room");
            cpu.conv1d(&x, &weight, stride, padding, &mut out);
            close(&cpu.read(&out).expect("values"), &expected);
        }
    }
}

#[test]
fn power_is_the_sum_of_squares_of_both_parts() {
    let cpu = Cpu::new(Some(1)).expect("threads");
    let x = cpu.upload(4, &[1.0, 2.0, 3.0, 4.0, 0.0, -1.0, 0.5, 0.0]).expect("room");
    let mut out = cpu.tensor(2, 2).expect("room");
    cpu.power(&x, &mut out);
    assert_eq!(cpu.read(&out).expect("values"), [10.0, 20.0, 0.25, 1.0]);
}

#[test]
fn attention_across_sees_every_row_and_no_other() {
    const HEADS: usize = 3;
    const WIDTH: usize = 24;
    let columns = HEADS * WIDTH;
    let lengths = [(1, 1), (1, 37), (6, 16), (9, 50)];
    for ((queries, length), precision) in
        lengths.into_iter().flat_map(|each| [(each, Precision::Exact), (each, Precision::Fast)])
    {
        let (q, mut k, mut v) =
            (random(queries * columns, 1), random(length * columns, 2), random(length * columns, 3));
        if precision == Precision::Fast {
            // Which fit 16 bits.
            k.iter_mut().chain(&mut v).for_each(|x| *x = half::f16::from_f32(*x).to_f32());
        }
        let mut expected = vec![0.0; queries * columns];
        let mut shares = vec![Vec::new(); HEADS];
        for row in 0..queries {
            for (head, shares) in shares.iter_mut().enumerate() {
                let at = |values: &[f32], row: usize, column: usize| {
                    f64::from(values[row * columns + head * WIDTH + column])
                };
                let scores: Vec<f64> = (0..length)
                    .map(|key| (0..WIDTH).map(|c| at(&q, row, c) * at(&k, key, c)).sum::<f64>())
                    .map(|sum| (sum / (WIDTH as f64).sqrt()).exp())
                    .collect();
                let total: f64 = scores.iter().sum();
                for (key, score) in scores.iter().enumerate() {
                    shares.push(score / total);
                    for column in 0..WIDTH {
                        expected[row * columns + head * WIDTH + column] +=
                            score / total * at(&v, key, column);
                    }
                }
            }
        }
        for cpu in processors() {
            let upload = |values: &[f32]| cpu.upload(columns, values).expect("room");
            let shape = PageShape { blocks: 2, kv_heads: HEADS, head_width: WIDTH, precision };
            let mut pages: Vec<_> =
                (0..length.div_ceil(PAGE_TOKENS)).map(|_| cpu.page(shape).expect("room")).collect();
            let mut spans = [Span { shared: &[], pages: &mut pages, start: 0, count: length }];
            cpu.store(&upload(&k), &upload(&v), 1, &mut spans);
            let mut out = cpu.tensor(queries, columns).expect("room");
            cpu.attend_across(&upload(&q), 1, &pages, length, &mut out);
            close(&cpu.read(&out).expect("values"), &expected);
            for (head, shares) in shares.iter().enumerate() {
                let mut out = cpu.tensor(queries, length).expect("room");
                cpu.attention_across(&upload(&q), 1, head, &pages, &mut out);
                close(&cpu.read(&out).expect("values"), shares);
            }
        }
    }
}
