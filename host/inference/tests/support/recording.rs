//! Recordings in files of uncompressed 16-bit sound.

use std::path::Path;

use atelier_inference::whisper::Sound;

/// Samples of the first channel, and how many there are in a second.
pub fn read(path: &Path) -> (Vec<f32>, u32) {
    let bytes = std::fs::read(path).expect("a recording");
    assert_eq!((&bytes[..4], &bytes[8..12]), (&b"RIFF"[..], &b"WAVE"[..]), "a WAV file");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let (mut at, mut rate, mut channels) = (12, 0, 1);
    loop {
        let length = word(at + 4) as usize;
        let body = &bytes[at + 8..(at + 8 + length).min(bytes.len())];
        match &bytes[at..at + 4] {
            b"fmt " => (rate, channels) = (word(at + 12), usize::from(body[2])),
            b"data" => {
                let samples = body.chunks_exact(2 * channels);
                return (
                    samples.map(|s| f32::from(i16::from_le_bytes([s[0], s[1]])) / 32768.0).collect(),
                    rate,
                );
            }
            _ => {}
        }
        at += 8 + length.next_multiple_of(2);
    }
}

/// Samples that are there already, given a tenth of a second at a time.
pub struct Samples {
    pub samples: Vec<f32>,
    pub at: usize,
}

impl Samples {
    pub fn new(samples: Vec<f32>) -> Box<Self> {
        Box::new(Self { samples, at: 0 })
    }
}

impl Sound for Samples {
    fn read(&mut self, out: &mut Vec<f32>) -> Result<bool, String> {
        let end = (self.at + 1600).min(self.samples.len());
        out.extend_from_slice(&self.samples[self.at..end]);
        self.at = end;
        Ok(end < self.samples.len())
    }
}
