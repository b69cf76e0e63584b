//! One recording, window after window.

use std::ops::Range;

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use super::WhisperModel;
use super::alignment::Spoken;
use super::decoder::Window;
use super::decoding::{Left, TEMPERATURES, Written};
use super::segments::{Cut, cut};
use super::shape::{FRAMES_PER_MOMENT, HOP_SAMPLES, SAMPLE_RATE};
use super::vocabulary::SECONDS_PER_TIME;
use crate::error::{EngineError, ModelError};
use crate::kernels::cpu::Cpu;

/// Samples of a step in time: 0.02 s.
const STEP_SAMPLES: usize = FRAMES_PER_MOMENT * HOP_SAMPLES;
/// Samples at a recording's end that are too few to say anything: 0.1 s.
const REST_SAMPLES: usize = SAMPLE_RATE / 10;
/// A temperature above which what was written is no help for what follows.
const HELPFUL_TEMPERATURE_MAX: f32 = 0.5;

/// A recording as it is read: one channel, 16,000 samples a second, from -1 to 1.
pub trait Sound: Send {
    /// Put the next samples behind those in `out`; false where there are none any more.
    ///
    /// # Errors
    /// Why the recording cannot be read, for whoever sent it.
    fn read(&mut self, out: &mut Vec<f32>) -> Result<bool, String>;
}

/// How a recording is to be written down.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manner {
    /// Text before the recording, whose words and spelling are taken up.
    pub prompt: Option<String>,
    /// The temperature of every token; 0 and, where that goes badly, rising ones where there is none.
    pub temperature: Option<f32>,
    /// Whether to tell when each word was said.
    pub word_times: bool,
}

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// As it was written, without the space before it.
    pub text: String,
    /// Seconds from the recording's beginning.
    pub seconds: Range<f64>,
}

/// A piece of a recording between two times.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Seconds from the recording's beginning.
    pub seconds: Range<f64>,
    /// Seconds at which the window begins that it was heard in.
    pub window_seconds: f64,
    /// What was said, with the space before it.
    pub text: String,
    /// Its tokens, times included.
    pub tokens: Vec<u32>,
    /// Each token of its text with the logarithm of its chance.
    pub logprobs: Vec<(Vec<u8>, f32)>,
    /// The words, where they were asked for.
    pub words: Vec<Word>,
    /// The mean logarithm of the chances of the window's tokens.
    pub mean_logprob: f32,
    /// The chance that nobody speaks in the window.
    pub no_speech: f32,
    /// The temperature that its tokens were chosen at.
    pub temperature: f32,
    /// Bytes of the window's text over those of it compressed.
    pub compression: f32,
}

/// What came of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// In order; none where nobody speaks.
    pub segments: Vec<Segment>,
    /// Seconds of the recording that are done.
    pub seconds: f64,
}

/// A recording that is being written down.
pub(crate) struct Session {
    sound: Box<dyn Sound>,
    manner: Manner,
    seconds_max: u64,
    /// Whether all of it was read.
    read: bool,
    /// Samples from `done` on.
    ahead: Vec<f32>,
    /// Samples that are written down.
    done: u64,
    /// Tokens before the next window: the prompt, then what was written.
    before: Vec<u32>,
    random: ChaCha12Rng,
}

impl Session {
    /// Of at most `seconds_max`.
    pub(crate) fn new(
        model: &WhisperModel,
        sound: Box<dyn Sound>,
        manner: Manner,
        seconds_max: u64,
    ) -> Result<Self, ModelError> {
        let before = match manner.prompt.as_deref().map(str::trim) {
            // A prompt is written as speech is: with a space before it.
            Some(prompt) if !prompt.is_empty() => model.vocabulary.encode(&format!(" {prompt}"))?,
            _ => Vec::new(),
        };
        // Draws are the same for the same recording.
        let random = ChaCha12Rng::seed_from_u64(0);
        Ok(Self { sound, manner, seconds_max, read: false, ahead: Vec::new(), done: 0, before, random })
    }

    /// Write down the next window; none once there is no more, or where it was left.
    pub(crate) fn step(
        &mut self,
        model: &WhisperModel,
        left: Left<'_>,
    ) -> Result<Option<Heard>, EngineError> {
        let window_samples = model.shape.window_samples();
        self.fill(window_samples)?;
        let count = self.ahead.len().min(window_samples);
        if count < REST_SAMPLES || left() {
            return Ok(None);
        }
        let mut samples = self.ahead[..count].to_vec();
        samples.resize(window_samples, 0.0);
        let heard = model.hear(&samples)?;
        let mut window = model.decoder.window(&model.kernels, &heard)?;
        drop((samples, heard));
        let temperatures = self.manner.temperature.map(|temperature| [temperature]);
        let temperatures = temperatures.as_ref().map_or(&TEMPERATURES[..], |one| &one[..]);
        let written = model.write(&mut window, &self.before, temperatures, &mut self.random, left)?;
        let Some(written) = written else { return Ok(None) };
        let steps = count.div_ceil(STEP_SAMPLES) as u32;
        let (segments, advance) = if written.is_silence() {
            (Vec::new(), steps)
        } else {
            let (cuts, advance) = cut(&model.vocabulary, &written.tokens, steps);
            (self.segments(model, &mut window, &written, cuts, steps)?, advance)
        };
        if written.temperature > HELPFUL_TEMPERATURE_MAX {
            self.before.clear();
        } else {
            self.before.extend(segments.iter().flat_map(|segment| &segment.tokens));
            let more = self.before.len().saturating_sub(model.shape.positions);
            self.before.drain(..more);
        }
        let advance = (advance as usize * STEP_SAMPLES).min(count);
        self.ahead.drain(..advance);
        self.done += advance as u64;
        Ok(Some(Heard { segments, seconds: self.done as f64 / SAMPLE_RATE as f64 }))
    }

    fn fill(&mut self, samples: usize) -> Result<(), EngineError> {
        let invalid = |reason| EngineError::InvalidRequest { parameter: "file", reason };
        while !self.read && self.ahead.len() < samples {
            self.read = !self.sound.read(&mut self.ahead).map_err(invalid)?;
            let samples_max = self.seconds_max.saturating_mul(SAMPLE_RATE as u64);
            if self.done + self.ahead.len() as u64 > samples_max {
                let reason =
                    format!("the recording is longer than {} s; cut it into pieces", self.seconds_max);
                return Err(invalid(reason));
            }
        }
        Ok(())
    }

    /// The segments that say something.
    fn segments(
        &self,
        model: &WhisperModel,
        window: &mut Window<Cpu>,
        written: &Written,
        cuts: Vec<Cut>,
        steps: u32,
    ) -> Result<Vec<Segment>, EngineError> {
        let vocabulary = &model.vocabulary;
        let cuts: Vec<Cut> = cuts
            .into_iter()
            .filter(|cut| {
                let says = !vocabulary.text(&written.tokens[cut.tokens.clone()]).trim().is_empty();
                says && cut.times.start < cut.times.end
            })
            .collect();
        let is_text = |at: &usize| vocabulary.is_text(written.tokens[*at]);
        let mut spoken = Vec::new().into_iter().peekable();
        let mut text: Vec<u32> = Vec::new();
        if self.manner.word_times {
            let places = cuts.iter().flat_map(|cut| cut.tokens.clone()).filter(is_text);
            text = places.map(|at| written.tokens[at]).collect();
            spoken = model.align(window, &text, steps)?.into_iter().peekable();
        }
        let begins = self.done as f64 / SAMPLE_RATE as f64;
        let seconds = |times: &Range<u32>| {
            begins + f64::from(times.start) * SECONDS_PER_TIME
                ..begins + f64::from(times.end) * SECONDS_PER_TIME
        };
        let mut aligned = 0;
        let segments = cuts.into_iter().map(|cut| {
            let tokens = &written.tokens[cut.tokens.clone()];
            aligned += tokens.iter().filter(|token| vocabulary.is_text(**token)).count();
            let mut words = Vec::new();
            while let Some(Spoken { times, tokens }) = spoken.next_if(|word| word.tokens.start < aligned) {
                let said = vocabulary.text(&text[tokens]).trim().to_owned();
                if !said.is_empty() {
                    words.push(Word { text: said, seconds: seconds(&times) });
                }
            }
            let logprobs = cut
                .tokens
                .clone()
                .filter(is_text)
                .map(|at| (vocabulary.piece(written.tokens[at]).to_vec(), written.logprobs[at]));
            Segment {
                seconds: seconds(&cut.times),
                window_seconds: begins,
                text: vocabulary.text(tokens),
                tokens: tokens.to_vec(),
                logprobs: logprobs.collect(),
                words,
                mean_logprob: written.mean_logprob,
                no_speech: written.no_speech,
                temperature: written.temperature,
                compression: written.compression,
            }
        });
        Ok(segments.collect())
    }
}
