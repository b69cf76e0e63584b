//! Peaks of sounds: how loud each of some hundred equal spans is.

use std::time::{Duration, Instant};

use atelier_domain::blob::Blob;
use serde::Serialize;

use super::{Attempt, Made, small};
use crate::recording::Recording;

/// Of a sound that is looked at.
const SOURCE_BYTES_MAX: u64 = 64 << 20;
/// How long one is decoded; a longer one has no peaks.
const TAKES_MAX: Duration = Duration::from_secs(15);
/// Peaks of one sound: from half as many on.
const PEAKS_MAX: usize = 1_024;
#[derive(Serialize)]
struct Peaks {
    /// How long the sound is.
    duration_ms: u64,
    /// How much of it one peak stands for.
    peak_ms: f64,
    /// From 0 for silence to 255 for the loudest that there can be, the loudest of all channels in each span.
    peaks: Vec<u8>,
}

/// The sound's peaks as JSON.
pub(super) fn peaks(source: &Blob) -> Attempt {
    small(source, SOURCE_BYTES_MAX)?;
    let peaks = decode(source)?;
    let bytes = serde_json::to_vec(&peaks).map_err(|error| error.to_string())?;
    Ok(Made { content_type: "application/json", bytes })
}

fn decode(source: &Blob) -> Result<Peaks, String> {
    let started = Instant::now();
    let mut recording = Recording::open(source)?;
    let mut spans = Spans::default();
    while let Some(frames) = recording.frames()? {
        if started.elapsed() > TAKES_MAX {
            return Err(format!("it takes more than {} s to decode", TAKES_MAX.as_secs()));
        }
        for moment in frames.moments() {
            spans.add(moment.iter().fold(0.0, |loudest, sample| sample.abs().max(loudest)));
        }
    }
    if spans.frames == 0 {
        return Err("it has no sound".to_owned());
    }
    let ms = |frames: u64| frames as f64 * 1e3 / f64::from(recording.rate());
    Ok(Peaks {
        duration_ms: ms(spans.frames).round() as u64,
        peak_ms: ms(spans.width),
        peaks: spans.ended().into_iter().map(|peak| (peak.min(1.0) * 255.0).round() as u8).collect(),
    })
}

/// Peaks of equal spans of a sound whose length is not known: when there are too many, two become one.
struct Spans {
    peaks: Vec<f32>,
    /// Frames in each.
    width: u64,
    /// The one that is being filled, and how far it is.
    peak: f32,
    filled: u64,
    /// All frames so far.
    frames: u64,
}

impl Default for Spans {
    fn default() -> Self {
        Self { peaks: Vec::with_capacity(PEAKS_MAX), width: 1, peak: 0.0, filled: 0, frames: 0 }
    }
}

impl Spans {
    fn add(&mut self, loudness: f32) {
        self.frames += 1;
        self.filled += 1;
        self.peak = self.peak.max(loudness);
        if self.filled < self.width {
            return;
        }
        self.peaks.push(std::mem::take(&mut self.peak));
        self.filled = 0;
        if self.peaks.len() == PEAKS_MAX {
            self.peaks = self.peaks.chunks(2).map(|two| two.iter().copied().fold(0.0, f32::max)).collect();
            self.width *= 2;
        }
    }

    fn ended(mut self) -> Vec<f32> {
        if self.filled > 0 {
            self.peaks.push(self.peak);
        }
        self.peaks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sound of 16-bit samples, one channel, 8,000 of them in a second.
    fn wav(samples: &[i16]) -> Blob {
        let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let size = data.len() as u32;
        let mut bytes = b"RIFF".to_vec();
        bytes.extend_from_slice(&(36 + size).to_le_bytes());
        bytes.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        bytes.extend_from_slice(&8_000_u32.to_le_bytes());
        bytes.extend_from_slice(&16_000_u32.to_le_bytes());
        bytes.extend_from_slice(b"\x02\0\x10\0data");
        bytes.extend_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(&data);
        Blob::in_memory("audio/wav", bytes.into())
    }

    fn read(blob: &Blob) -> serde_json::Value {
        let made = peaks(blob).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(made.content_type, "application/json");
        serde_json::from_slice(&made.bytes).expect("JSON")
    }

    #[test]
    fn a_sound_is_loud_where_it_is_loud() {
        let samples: Vec<i16> = (0..16_000).map(|n| if n < 8_000 { 0 } else { i16::MIN }).collect();
        let told = read(&wav(&samples));
        assert_eq!(told["duration_ms"], 2_000);
        let peaks: Vec<u64> =
            told["peaks"].as_array().expect("a list").iter().filter_map(|peak| peak.as_u64()).collect();
        assert!((512..1_024).contains(&peaks.len()), "{}", peaks.len());
        assert!(peaks[..peaks.len() / 2].iter().all(|peak| *peak == 0));
        assert!(peaks[peaks.len() / 2 + 1..].iter().all(|peak| *peak == 255));
    }

    #[test]
    fn a_short_sound_has_a_peak_for_each_frame() {
        let told = read(&wav(&[0, 16_384, -32_768]));
        assert_eq!(told["peaks"], serde_json::json!([0, 128, 255]));
        assert_eq!(told["peak_ms"], 0.125);
    }

    #[test]
    fn what_is_no_sound_or_broken_is_none() {
        for broken in [&b""[..], b"RIFF\xff\xff\xff\xffWAVE", b"not a sound at all", &[0xff; 5_000]] {
            assert!(peaks(&Blob::in_memory("audio/wav", broken.to_vec().into())).is_err());
        }
        assert!(peaks(&wav(&[])).is_err());
    }
}
