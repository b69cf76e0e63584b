//! Sound as the encoder hears it: the logarithm of its power in bands of the mel scale.
//!
//! The numbers are those of Radford et al., “Robust Speech Recognition via Large-Scale Weak Supervision” (arXiv:2212.04356), section
//! 2.2, and of their published code: windows of 25 ms every 10 ms, bands on Slaney's mel scale, eight powers of ten at most
//! between the loudest and the faintest.

use std::f64::consts::TAU;

use super::shape::{HOP_SAMPLES, SAMPLE_RATE};
use crate::error::ModelError;
use crate::kernels::Kernels;
use crate::kernels::audio::AudioKernels;
use crate::layers::matrix;

/// Samples of one transform.
const TRANSFORM: usize = 400;
/// Frequencies of a transform.
const BINS: usize = TRANSFORM / 2 + 1;
/// Power below which there is silence.
const POWER_MIN: f32 = 1e-10;
/// Powers of ten that are told apart below the loudest.
const RANGE: f32 = 8.0;

/// The transforms, ready to compute with.
#[derive(Debug)]
pub(super) struct Spectrogram<K: Kernels> {
    /// `[2 · BINS, TRANSFORM]`: windowed cosines, then windowed sines.
    transform: K::Matrix,
    /// `[bands, BINS]`.
    bands: K::Matrix,
}

impl<K: AudioKernels> Spectrogram<K> {
    pub(super) fn new(kernels: &K, mels: usize) -> Result<Self, ModelError> {
        Ok(Self {
            transform: matrix(kernels, &transform(), 2 * BINS, TRANSFORM)?,
            bands: matrix(kernels, &bands(mels), mels, BINS)?,
        })
    }

    /// Bytes of both matrices.
    pub(super) fn bytes(mels: usize) -> u64 {
        (size_of::<f32>() * (2 * BINS * TRANSFORM + mels * BINS)) as u64
    }

    /// A row for every [`HOP_SAMPLES`] of `samples`, a column for every band. Beyond its ends the sound is mirrored.
    pub(super) fn of(&self, kernels: &K, samples: &[f32], mels: usize) -> Result<K::Tensor, ModelError> {
        let frames = samples.len() / HOP_SAMPLES;
        let half = TRANSFORM / 2;
        let mut mirrored = Vec::with_capacity(samples.len() + TRANSFORM);
        mirrored.extend(samples[1..=half].iter().rev());
        mirrored.extend_from_slice(samples);
        mirrored.extend(samples[samples.len() - 1 - half..samples.len() - 1].iter().rev());
        let sound = kernels.upload(1, &mirrored)?;
        let mut spectrum = kernels.tensor(frames, 2 * BINS)?;
        kernels.conv1d(&sound, &self.transform, HOP_SAMPLES, 0, &mut spectrum);
        let mut power = kernels.tensor(frames, BINS)?;
        kernels.power(&spectrum, &mut power);
        let mut banded = kernels.tensor(frames, mels)?;
        kernels.linear(&power, &mut [(&self.bands, &mut banded)]);
        let mut values = kernels.read(&banded)?;
        values.iter_mut().for_each(|x| *x = x.max(POWER_MIN).log10());
        let loudest = values.iter().copied().fold(f32::MIN, f32::max);
        values.iter_mut().for_each(|x| *x = (x.max(loudest - RANGE) + 4.0) / 4.0);
        kernels.upload(mels, &values)
    }
}

/// Cosines and sines under a periodic Hann window.
fn transform() -> Vec<f32> {
    let window = |at: usize| 0.5 - 0.5 * (TAU * at as f64 / TRANSFORM as f64).cos();
    let row = |wave: fn(f64) -> f64, bin: usize| {
        (0..TRANSFORM).map(move |at| {
            // The product of whole numbers first: the angle stays exact.
            let angle = TAU * ((bin * at) % TRANSFORM) as f64 / TRANSFORM as f64;
            (window(at) * wave(angle)) as f32
        })
    };
    let cosines = (0..BINS).flat_map(|bin| row(f64::cos, bin));
    cosines.chain((0..BINS).flat_map(|bin| row(f64::sin, bin))).collect()
}

/// Triangles on Slaney's mel scale, each of the same area (the `slaney` norm of librosa's documentation).
fn bands(mels: usize) -> Vec<f32> {
    let top = to_mel(SAMPLE_RATE as f64 / 2.0);
    let edges: Vec<f64> = (0..mels + 2).map(|at| to_hertz(top * at as f64 / (mels + 1) as f64)).collect();
    let mut bands = Vec::with_capacity(mels * BINS);
    for edges in edges.windows(3) {
        let (low, middle, high) = (edges[0], edges[1], edges[2]);
        bands.extend((0..BINS).map(|bin| {
            let hertz = (bin * SAMPLE_RATE) as f64 / TRANSFORM as f64;
            let rising = (hertz - low) / (middle - low);
            let falling = (high - hertz) / (high - middle);
            (rising.min(falling).max(0.0) * 2.0 / (high - low)) as f32
        }));
    }
    bands
}

/// Linear to 1 kHz, logarithmic from there.
const LINEAR_HERTZ: f64 = 1000.0;
const MELS_PER_HERTZ: f64 = 3.0 / 200.0;

fn logarithmic_step() -> f64 {
    6.4_f64.ln() / 27.0
}

fn to_mel(hertz: f64) -> f64 {
    if hertz < LINEAR_HERTZ {
        return hertz * MELS_PER_HERTZ;
    }
    LINEAR_HERTZ * MELS_PER_HERTZ + (hertz / LINEAR_HERTZ).ln() / logarithmic_step()
}

fn to_hertz(mel: f64) -> f64 {
    let linear = LINEAR_HERTZ * MELS_PER_HERTZ;
    if mel < linear {
        return mel / MELS_PER_HERTZ;
    }
    LINEAR_HERTZ * ((mel - linear) * logarithmic_step()).exp()
}
