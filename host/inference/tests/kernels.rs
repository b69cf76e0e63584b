//! Every kernel on every instruction set of this machine against 64-bit floats, over shapes that fit no register.

use atelier_inference::Precision;
use atelier_inference::gguf::Encoding;
use atelier_inference::kernels::cpu::{Cpu, Isa};
use atelier_inference::kernels::{Kernels, PAGE_TOKENS, PageShape, Span, Stored};
use proptest::prelude::*;

fn devices() -> Vec<Cpu> {
    Isa::available().into_iter().map(|isa| Cpu::with_isa(isa, 2).expect("threads")).collect()
}

/// Numbers between −1 and 1, the same for a seed.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// The largest difference, relative to the root mean square of what is right.
fn error(found: &[f32], right: &[f64]) -> f64 {
    assert_eq!(found.len(), right.len());
    let scale = (right.iter().map(|x| x * x).sum::<f64>() / right.len() as f64).sqrt().max(1e-30);
    found.iter().zip(right).map(|(x, y)| (f64::from(*x) - y).abs()).fold(0.0, f64::max) / scale
}

const ENCODINGS: [Encoding; 11] = [
    Encoding::F32,
    Encoding::F16,
    Encoding::BF16,
    Encoding::Q4_0,
    Encoding::Q4_1,
    Encoding::Q5_0,
    Encoding::Q5_1,
    Encoding::Q8_0,
    Encoding::Q4K,
    Encoding::Q5K,
    Encoding::Q6K,
];

/// Random bytes that are blocks of `encoding`, with scales of a sensible size.
fn stored(encoding: Encoding, rows: usize, columns: usize, seed: u32) -> Vec<u8> {
    let half = |x: f32| half::f16::from_f32(x).to_le_bytes();
    let values = noise(rows * columns, seed);
    match encoding {
        Encoding::F32 => return values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Encoding::F16 => return values.iter().flat_map(|x| half(*x)).collect(),
        Encoding::BF16 => {
            return values.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect();
        }
        _ => {}
    }
    let blocks = rows * columns / encoding.block_size();
    let mut bytes: Vec<u8> =
        noise(blocks * encoding.block_bytes(), seed).iter().map(|x| (x * 127.0) as i8 as u8).collect();
    for (block, scale) in bytes.chunks_exact_mut(encoding.block_bytes()).zip(noise(blocks, seed + 1)) {
        let (scale, least) = (half(scale * 0.01), half(scale * scale * 0.05));
        match encoding {
            Encoding::Q6K => block[208..210].copy_from_slice(&scale),
            Encoding::Q4_1 | Encoding::Q5_1 | Encoding::Q4K | Encoding::Q5K => {
                block[0..2].copy_from_slice(&scale);
                block[2..4].copy_from_slice(&least);
            }
            _ => block[0..2].copy_from_slice(&scale),
        }
    }
    bytes
}

/// Numbers as a page has them.
fn kept(mut values: Vec<f32>, precision: Precision) -> Vec<f32> {
    if precision == Precision::Fast {
        values.iter_mut().for_each(|value| *value = half::f16::from_f32(*value).to_f32());
    }
    values
}

fn product(x: &[f32], weights: &[f32], columns: usize) -> Vec<f64> {
    x.chunks_exact(columns)
        .flat_map(|x| {
            weights
                .chunks_exact(columns)
                .map(|w| x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>())
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn products_in_every_encoding(
        rows in 1_usize..70, blocks in 1_usize..4, count in 1_usize..20, seed in 0_u32..1000, pick in 0..ENCODINGS.len(),
    ) {
        let encoding = ENCODINGS[pick];
        let columns = encoding.block_size().max(32) * blocks;
        let bytes = stored(encoding, rows, columns, seed);
        let mut weights = vec![0.0; rows * columns];
        encoding.decode(&bytes, &mut weights);
        let x = noise(count * columns, seed + 2);
        let right = product(&x, &weights, columns);
        let float = matches!(encoding, Encoding::F32 | Encoding::F16 | Encoding::BF16);
        // At full precision only rounding is left; activations of 8 bits have steps of 1/127 of their largest.
        for (precision, most) in [(Precision::Exact, 1e-5), (Precision::Fast, if float { 1e-5 } else { 0.05 })] {
            let stored = Stored { encoding, rows, columns, bytes: &bytes };
            let mut first: Option<Vec<f32>> = None;
            for device in devices() {
                let matrix = device.matrix(stored, precision).expect("it fits");
                let x = device.upload(columns, &x).expect("it fits");
                let mut out = device.tensor(count, rows).expect("it fits");
                device.linear(&x, &mut [(&matrix, &mut out)]);
                let found = device.read(&out).expect("it ran");
                let off = error(&found, &right);
                prop_assert!(off < most, "{encoding:?} {precision:?} {rows}×{columns}·{count}: {off}");
                // The versions do the same sums: they agree far more closely than quantising allows.
                let first = first.get_or_insert_with(|| found.clone());
                let twin: Vec<f64> = first.iter().map(|x| f64::from(*x)).collect();
                prop_assert!(error(&found, &twin) < 1e-5, "{device:?} differs from its portable twin");
                let mut row = device.tensor(1, columns).expect("it fits");
                device.embed(&matrix, &[rows as u32 - 1], &mut row);
                let right: Vec<f64> = weights[(rows - 1) * columns..].iter().map(|x| f64::from(*x)).collect();
                prop_assert!(error(&device.read(&row).expect("it ran"), &right) < 0.05);
            }
        }
    }

    #[test]
    fn norms_and_activations(rows in 1_usize..300, width in 1_usize..100, seed in 0_u32..1000, scale in 0.01_f32..30.0) {
        let x: Vec<f32> = noise(rows * width, seed).iter().map(|x| x * scale).collect();
        let (weight, bias) = (noise(width, seed + 1), noise(width, seed + 2));
        let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
        let per_row = |of: &dyn Fn(&[f64]) -> Vec<f64>| {
            x.chunks_exact(width).flat_map(|row| of(&wide(row))).collect::<Vec<f64>>()
        };
        let (w, b) = (wide(&weight), wide(&bias));
        let rms = per_row(&|row| {
            let mean = row.iter().map(|x| x * x).sum::<f64>() / width as f64;
            row.iter().zip(&w).map(|(x, w)| x / (mean + 1e-5).sqrt() * w).collect()
        });
        let layer = per_row(&|row| {
            let mean = row.iter().sum::<f64>() / width as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
            row.iter().zip(w.iter().zip(&b)).map(|(x, (w, b))| (x - mean) / (variance + 1e-5).sqrt() * w + b).collect()
        });
        let soft = per_row(&|row| {
            let most = row.iter().copied().fold(f64::MIN, f64::max);
            let all: f64 = row.iter().map(|x| (x - most).exp()).sum();
            row.iter().map(|x| (x - most).exp() / all).collect()
        });
        let silu: Vec<f64> = x.iter().map(|x| f64::from(*x)).map(|x| x / (1.0 + (-x).exp()) * x).collect();
        for device in devices() {
            let input = device.upload(width, &x).expect("it fits");
            let (weight, bias) = (device.upload(width, &weight).expect("it fits"), device.upload(width, &bias).expect("it fits"));
            let mut out = device.tensor(rows, width).expect("it fits");
            device.rms_norm(&input, &weight, 1e-5, &mut out);
            prop_assert!(error(&device.read(&out).expect("it ran"), &rms) < 1e-5, "rms norm on {device:?}");
            device.layer_norm(&input, &weight, &bias, 1e-5, &mut out);
            // Taking the mean off costs digits where the variance is small beside it.
            prop_assert!(error(&device.read(&out).expect("it ran"), &layer) < 1e-3, "layer norm on {device:?}");
            let mut probabilities = device.upload(width, &x).expect("it fits");
            device.softmax(&mut probabilities);
            prop_assert!(error(&device.read(&probabilities).expect("it ran"), &soft) < 1e-5, "softmax on {device:?}");
            let mut gate = device.upload(width, &x).expect("it fits");
            device.swiglu(&mut gate, &input);
            prop_assert!(error(&device.read(&gate).expect("it ran"), &silu) < 1e-5, "swiglu on {device:?}");
        }
    }

    #[test]
    fn attention_over_pages_of_a_batch(
        lengths in prop::collection::vec((0_usize..40, 1_usize..24), 1..4),
        kv_heads in 1_usize..4, group in 1_usize..5, half_width in 1_usize..20, seed in 0_u32..1000,
        precision in prop::sample::select(vec![Precision::Exact, Precision::Fast]),
    ) {
        let (width, heads) = (half_width * 2, kv_heads * group);
        let shape = PageShape { blocks: 2, kv_heads, head_width: width, precision };
        let rows: usize = lengths.iter().map(|(_, count)| count).sum();
        let queries = noise(rows * heads * width, seed);
        let mut right = Vec::new();
        let mut row = 0;
        for (index, (start, count)) in lengths.iter().enumerate() {
            let keys = kept(noise((start + count) * kv_heads * width, seed + 1 + index as u32), precision);
            let values = kept(noise((start + count) * kv_heads * width, seed + 100 + index as u32), precision);
            for at in 0..*count {
                for head in 0..heads {
                    let query = &queries[((row + at) * heads + head) * width..][..width];
                    right.extend(mix(query, &keys, &values, head / group, kv_heads, start + at + 1));
                }
            }
            row += count;
        }
        for device in devices() {
            let mut pages: Vec<Vec<_>> = lengths
                .iter()
                .map(|(start, count)| (0..(start + count).div_ceil(PAGE_TOKENS)).map(|_| device.page(shape).expect("it fits")).collect())
                .collect();
            // First what was seen before this pass, then the pass: pages are written in two steps, as in use.
            for before in [true, false] {
                let (mut keys, mut values, mut spans) = (Vec::new(), Vec::new(), Vec::new());
                for (index, ((start, count), pages)) in lengths.iter().zip(&mut pages).enumerate() {
                    let range = if before { 0..*start } else { *start..start + count };
                    let all = (start + count) * kv_heads * width;
                    let cut = range.start * kv_heads * width..range.end * kv_heads * width;
                    keys.extend_from_slice(&noise(all, seed + 1 + index as u32)[cut.clone()]);
                    values.extend_from_slice(&noise(all, seed + 100 + index as u32)[cut]);
                    spans.push(Span { shared: &[], pages, start: range.start, count: range.len() });
                }
                let keys = device.upload(kv_heads * width, &keys).expect("it fits");
                let values = device.upload(kv_heads * width, &values).expect("it fits");
                device.store(&keys, &values, 1, &mut spans);
                if !before {
                    let input = device.upload(heads * width, &queries).expect("it fits");
                    let mut out = device.tensor(rows, heads * width).expect("it fits");
                    device.attend(&input, 1, &spans, &mut out);
                    prop_assert!(error(&device.read(&out).expect("it ran"), &right) < 1e-5, "{device:?}");
                }
            }
        }
    }

    #[test]
    fn attention_of_all_rows_to_all(lengths in prop::collection::vec(1_usize..40, 1..4), heads in 1_usize..4, width in 1_usize..40, seed in 0_u32..1000) {
        let rows: usize = lengths.iter().sum();
        let [q, k, v] = [0, 1, 2].map(|part| noise(rows * heads * width, seed + part));
        let mut right = Vec::new();
        let mut first = 0;
        for length in &lengths {
            let range = first * heads * width..(first + length) * heads * width;
            for at in 0..*length {
                for head in 0..heads {
                    let query = &q[((first + at) * heads + head) * width..][..width];
                    right.extend(mix(query, &k[range.clone()], &v[range.clone()], head, heads, *length));
                }
            }
            first += length;
        }
        for device in devices() {
            let [q, k, v] = [&q, &k, &v].map(|values| device.upload(heads * width, values).expect("it fits"));
            let mut out = device.tensor(rows, heads * width).expect("it fits");
            device.attend_all(&q, &k, &v, heads, &lengths, &mut out);
            prop_assert!(error(&device.read(&out).expect("it ran"), &right) < 1e-5, "{device:?}");
        }
    }
}

/// One query's attention over the first `seen` tokens.
fn mix(query: &[f32], keys: &[f32], values: &[f32], head: usize, heads: usize, seen: usize) -> Vec<f64> {
    let width = query.len();
    let at = |of: &[f32], token: usize, place: usize| f64::from(of[(token * heads + head) * width + place]);
    let scores: Vec<f64> = (0..seen)
        .map(|token| (0..width).map(|place| f64::from(query[place]) * at(keys, token, place)).sum::<f64>())
        .map(|score| (score / (width as f64).sqrt()).exp())
        .collect();
    let all: f64 = scores.iter().sum();
    (0..width)
        .map(|place| (0..seen).map(|token| scores[token] * at(values, token, place)).sum::<f64>() / all)
        .collect()
}

#[test]
fn the_error_unit_and_its_tails() {
    // Values of the normal distribution's tables: Φ(1), Φ(−1), Φ(−3), Φ(3).
    let x = [0.0, 1.0, -1.0, -3.0, 3.0, -40.0, 40.0];
    let right = [0.0, 0.841_344_746, -0.158_655_254, -0.004_049_694, 2.995_950_306, 0.0, 40.0];
    for device in devices() {
        let mut out = device.upload(7, &x).expect("it fits");
        device.gelu(&mut out);
        for (found, right) in device.read(&out).expect("it ran").iter().zip(right) {
            assert!((f64::from(*found) - right).abs() < 2e-6, "{found} is not {right} on {device:?}");
        }
    }
}

#[test]
fn a_rotation_keeps_lengths_and_turns_by_the_position() {
    for device in devices() {
        let angles = [0.0_f32, 0.5, 1.0, 1.5];
        let table = |of: fn(f32) -> f32| device.upload(1, &angles.map(of)).expect("it fits");
        let (cos, sin) = (table(f32::cos), table(f32::sin));
        let mut x = device.upload(4, &[1.0, 0.0, 0.0, 2.0, 1.0, 0.0, 0.0, 2.0]).expect("it fits");
        device.rope(&mut x, &cos, &sin, &[3, 1]);
        let right = [1.5_f64.cos(), 1.5_f64.sin(), -2.0 * 1.5_f64.sin(), 2.0 * 1.5_f64.cos()];
        let next = [0.5_f64.cos(), 0.5_f64.sin(), -2.0 * 0.5_f64.sin(), 2.0 * 0.5_f64.cos()];
        assert!(error(&device.read(&x).expect("it ran"), &[right, next].concat()) < 1e-6);
    }
}
