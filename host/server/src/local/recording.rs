//! Recordings as speech models hear them: one channel, 16,000 samples a second.

use atelier_inference::whisper::{SAMPLE_RATE, Sound};
use atelier_service::recording::Recording;

use super::rate::Rate;

/// A recording on its way to a model.
pub(super) struct Listened {
    recording: Recording,
    rate: Rate,
}

impl Listened {
    /// # Errors
    /// Why the recording cannot be heard.
    pub(super) fn new(recording: Recording) -> Result<Self, String> {
        let rate = Rate::new(recording.rate() as usize, SAMPLE_RATE)?;
        Ok(Self { recording, rate })
    }
}

impl Sound for Listened {
    fn read(&mut self, out: &mut Vec<f32>) -> Result<bool, String> {
        let frames = self.recording.frames()?;
        if let Some(frames) = &frames {
            let scale = 1.0 / frames.channels as f32;
            self.rate.take(frames.moments().map(|moment| moment.iter().sum::<f32>() * scale));
        }
        self.rate.give(frames.is_none(), out)?;
        Ok(frames.is_some())
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
