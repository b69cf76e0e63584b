//! Recordings as speech models hear them: one channel, 16,000 samples a second.

use atelier_inference::whisper::{SAMPLE_RATE, Sound};
use atelier_service::recording::Recording;
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler, WindowFunction};

/// Moments that change their rate together.
const CHUNK: usize = 4096;

/// A recording on its way to a model.
pub(super) struct Listened {
    recording: Recording,
    /// None where it has the rate already.
    resampler: Option<Fft<f32>>,
    /// Moments of the recording that are not resampled yet.
    waiting: Vec<f32>,
    /// Samples that the resampler gives before the first moment.
    early: usize,
    taken: u64,
    given: u64,
}

impl Listened {
    /// # Errors
    /// Why the recording cannot be heard.
    pub(super) fn new(recording: Recording) -> Result<Self, String> {
        let rate = recording.rate() as usize;
        // One transform for each chunk, of an even number on both sides: else the filter's middle would lie between two moments.
        let chunk = CHUNK.next_multiple_of(2 * rate / common(rate, SAMPLE_RATE));
        let made = || {
            let window = WindowFunction::BlackmanHarris2;
            Fft::new_custom(rate, SAMPLE_RATE, chunk, 1, 1, window, FixedSync::Input)
        };
        let resampler = (rate != SAMPLE_RATE)
            .then(made)
            .transpose()
            .map_err(|error| format!("its {rate} samples a second cannot become {SAMPLE_RATE}: {error}"))?;
        let early = resampler.as_ref().map_or(0, Resampler::output_delay);
        Ok(Self { recording, resampler, waiting: Vec::new(), early, taken: 0, given: 0 })
    }

    /// Samples that the moments so far become.
    fn due(&self) -> u64 {
        (self.taken * SAMPLE_RATE as u64).div_ceil(u64::from(self.recording.rate()))
    }

    /// Resample what waits, a chunk at a time; at the end also what is less than one, until all that is due is given.
    fn resample(&mut self, ended: bool, out: &mut Vec<f32>) -> Result<(), String> {
        let due = self.due();
        let Some(resampler) = &mut self.resampler else {
            self.given += self.waiting.len() as u64;
            out.append(&mut self.waiting);
            return Ok(());
        };
        let mut from = 0;
        loop {
            let (wanted, there) = (resampler.input_frames_next(), self.waiting.len() - from);
            if there < wanted && !(ended && self.given < due) {
                break;
            }
            let taken = there.min(wanted);
            let chunk = &self.waiting[from..from + taken];
            let failed = |error: &dyn std::fmt::Display| format!("its rate cannot be changed: {error}");
            let input = SequentialSlice::new(chunk, 1, taken).map_err(|error| failed(&error))?;
            let short = Indexing::new().partial_len(taken);
            let made = resampler
                .process(&input, (taken < wanted).then_some(&short))
                .map_err(|error| failed(&error))?
                .take_data();
            from += taken;
            let early = self.early.min(made.len());
            self.early -= early;
            let left = usize::try_from(due - self.given).unwrap_or(usize::MAX);
            let made = &made[early..];
            let made = &made[..made.len().min(left)];
            self.given += made.len() as u64;
            out.extend_from_slice(made);
        }
        self.waiting.drain(..from);
        Ok(())
    }
}

/// The greatest common divisor (Euclid).
fn common(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common(b, a % b) }
}

impl Sound for Listened {
    fn read(&mut self, out: &mut Vec<f32>) -> Result<bool, String> {
        let Some(frames) = self.recording.next()? else {
            self.resample(true, out)?;
            return Ok(false);
        };
        let before = self.waiting.len();
        let scale = 1.0 / frames.channels as f32;
        self.waiting.extend(frames.moments().map(|moment| moment.iter().sum::<f32>() * scale));
        self.taken += (self.waiting.len() - before) as u64;
        self.resample(false, out)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use atelier_domain::blob::Blob;

    use super::*;

    /// A second and a half of two channels that hold the same tone, the second with its sign turned where `opposed`.
    fn tone(rate: u32, hertz: f64, opposed: bool) -> Blob {
        let count = u64::from(rate) * 3 / 2;
        let samples = (0..count).flat_map(|at| {
            let value = (TAU * hertz * at as f64 / f64::from(rate)).sin() * 0.5 * 32767.0;
            [value as i16, if opposed { -(value as i16) } else { value as i16 }]
        });
        let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
        let mut bytes = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x02\0".to_vec();
        bytes.extend_from_slice(&rate.to_le_bytes());
        bytes.extend_from_slice(&(rate * 4).to_le_bytes());
        bytes.extend_from_slice(b"\x04\0\x10\0data");
        bytes.extend_from_slice(&(data.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&data);
        Blob::in_memory("audio/wav", bytes.into())
    }

    fn listen(blob: &Blob) -> Vec<f32> {
        let mut sound = Listened::new(Recording::open(blob).expect("a recording")).expect("a rate");
        let mut out = Vec::new();
        while sound.read(&mut out).expect("it can be read") {}
        out
    }

    #[test]
    fn a_tone_is_the_same_tone_at_the_rate_of_the_models() {
        for rate in [8_000, 16_000, 22_050, 44_100, 48_000, 96_000] {
            let out = listen(&tone(rate, 440.0, false));
            assert_eq!(out.len(), SAMPLE_RATE * 3 / 2, "{rate}");
            // But for the ends, where what is beyond is silence.
            let furthest = (1600..out.len() - 1600)
                .map(|at| f64::from(out[at]) - (TAU * 440.0 * at as f64 / SAMPLE_RATE as f64).sin() * 0.5)
                .fold(0.0_f64, |most, x| most.max(x.abs()));
            assert!(furthest < 2e-3, "{rate}: {furthest}");
        }
    }

    #[test]
    fn channels_are_mixed_evenly() {
        assert!(listen(&tone(48_000, 440.0, true)).iter().all(|sample| sample.abs() < 1e-4));
    }

    #[test]
    fn a_tone_that_the_models_cannot_hear_is_silence() {
        let loudest = listen(&tone(48_000, 12_000.0, false))[1600..20_000]
            .iter()
            .fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(loudest < 1e-3, "{loudest}");
    }
}
