//! From a window's sound to its tokens: the likeliest at each step, and where that fails, drawn at rising temperatures.
//!
//! As Radford et al. do (arXiv:2212.04356, section 4.5), one token at a time instead of beams.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use rand::Rng;
use rand_chacha::ChaCha12Rng;

use super::WhisperModel;
use super::decoder::Window;
use super::rules::{self, log_sum};
use crate::error::ModelError;
use crate::kernels::cpu::Cpu;

/// Temperatures that are tried in turn.
pub(super) const TEMPERATURES: [f32; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
/// Text that compresses better than this repeats itself.
const COMPRESSION_MAX: f32 = 2.4;
/// The mean logarithm of the tokens' chances below which they are a guess.
const MEAN_LOGPROB_MIN: f32 = -1.0;
/// The chance of silence above which a guess is taken for it.
const NO_SPEECH_MAX: f32 = 0.6;

/// What was written for a window.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    /// Text and times, without the mark that ends them.
    pub(super) tokens: Vec<u32>,
    /// The logarithm of each token's chance.
    pub(super) logprobs: Vec<f32>,
    /// Their mean, the end's included.
    pub(super) mean_logprob: f32,
    /// The chance that nobody speaks.
    pub(super) no_speech: f32,
    pub(super) temperature: f32,
    /// Bytes of the text over those of it compressed.
    pub(super) compression: f32,
}

impl Written {
    /// Whether nobody speaks in the window.
    pub(super) fn is_silence(&self) -> bool {
        self.no_speech > NO_SPEECH_MAX && self.mean_logprob <= MEAN_LOGPROB_MIN
    }

    fn is_good(&self) -> bool {
        let repeats = self.compression > COMPRESSION_MAX;
        self.is_silence() || (!repeats && self.mean_logprob >= MEAN_LOGPROB_MIN)
    }
}

/// Whether work is to end early.
pub(super) type Left<'a> = &'a dyn Fn() -> bool;

impl WhisperModel {
    /// Write what was heard in `window`, after `before`, at the first of `temperatures` that goes well. None where it was left.
    pub(super) fn write(
        &self,
        window: &mut Window<Cpu>,
        before: &[u32],
        temperatures: &[f32],
        random: &mut ChaCha12Rng,
        left: Left<'_>,
    ) -> Result<Option<Written>, ModelError> {
        let mut last = None;
        for temperature in temperatures {
            let Some(written) = self.write_at(window, before, *temperature, random, left)? else {
                return Ok(None);
            };
            let good = written.is_good();
            last = Some(written);
            if good {
                break;
            }
        }
        Ok(last)
    }

    fn write_at(
        &self,
        window: &mut Window<Cpu>,
        before: &[u32],
        temperature: f32,
        random: &mut ChaCha12Rng,
        left: Left<'_>,
    ) -> Result<Option<Written>, ModelError> {
        let marks = self.vocabulary.marks;
        let tokens_max = self.shape.positions / 2;
        let mut prompt = Vec::with_capacity(tokens_max + 1);
        if !before.is_empty() {
            prompt.push(marks.previous);
            prompt.extend(&before[before.len().saturating_sub(tokens_max - 1)..]);
        }
        prompt.push(marks.start);
        window.cut(0);
        let (mut scores, _) = self.decoder.read(&self.kernels, window, &prompt, 1, None)?;
        let mut written = Written {
            no_speech: (scores[marks.no_speech as usize] - log_sum(&scores)).exp(),
            temperature,
            ..Written::default()
        };
        let mut sum = 0.0;
        let mut ended = false;
        while written.tokens.len() < tokens_max {
            if left() {
                return Ok(None);
            }
            rules::apply(&mut scores, &self.vocabulary, &self.suppressed, &written.tokens);
            let token = choose(&scores, temperature, random);
            let logprob = scores[token as usize] - log_sum(&scores);
            if !logprob.is_finite() {
                return Err(ModelError::Compute { reason: "the scores are not finite".to_owned() });
            }
            sum += logprob;
            if token == marks.end {
                ended = true;
                break;
            }
            written.tokens.push(token);
            written.logprobs.push(logprob);
            if written.tokens.len() < tokens_max {
                (scores, _) = self.decoder.read(&self.kernels, window, &[token], 1, None)?;
            }
        }
        written.mean_logprob = sum / (written.tokens.len() + usize::from(ended)).max(1) as f32;
        written.compression = compression(self.vocabulary.text(&written.tokens).trim().as_bytes());
        Ok(Some(written))
    }
}

/// The likeliest, or one drawn by its chance.
fn choose(scores: &[f32], temperature: f32, random: &mut ChaCha12Rng) -> u32 {
    let likeliest = || {
        let best = scores.iter().zip(0_u32..).max_by(|(a, _), (b, _)| a.total_cmp(b));
        best.map_or(0, |(_, token)| token)
    };
    if temperature <= 0.0 {
        return likeliest();
    }
    let scaled: Vec<f32> = scores.iter().map(|score| score / temperature).collect();
    let whole = log_sum(&scaled);
    let mut left: f32 = random.random_range(0.0..1.0);
    for (score, token) in scaled.iter().zip(0..) {
        left -= (score - whole).exp();
        if left < 0.0 {
            return token;
        }
    }
    // What rounding leaves over.
    likeliest()
}

/// Bytes of `text` over those of it compressed by zlib.
fn compression(text: &[u8]) -> f32 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(text);
    let compressed = encoder.finish().map_or(0, |bytes| bytes.len());
    text.len() as f32 / compressed.max(1) as f32
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn text_that_repeats_itself_is_told_from_text() {
        assert!(compression("so it goes ".repeat(40).as_bytes()) > COMPRESSION_MAX);
        let said = b"It was the best of times, it was the worst of times, it was the age of wisdom";
        assert!(compression(said) < COMPRESSION_MAX);
    }

    #[test]
    fn tokens_are_drawn_by_their_chance_and_never_one_without() {
        let scores = [f32::NEG_INFINITY, 0.0, 2.0_f32.ln(), f32::NEG_INFINITY];
        let mut random = ChaCha12Rng::seed_from_u64(1);
        let mut counts = [0; 4];
        for _ in 0..3000 {
            counts[choose(&scores, 1.0, &mut random) as usize] += 1;
        }
        assert_eq!((counts[0], counts[3]), (0, 0));
        assert!((900..1100).contains(&counts[1]), "{counts:?}");
        assert_eq!(choose(&scores, 0.0, &mut random), 2);
    }
}
