//! Speak a text into a WAV file: `cargo run --release -p atelier-inference --example speak -- OUT.wav TEXT [SPEED]`.
//!
//! Prints how long the first sentence took and the real-time factor: seconds of computing for a second of sound, eSpeak NG included.
//! eSpeak NG is the one in `PATH`, or the program that `ATELIER_ESPEAK` names.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use atelier_inference::piper::Phonemizer;
use atelier_inference::{
    SpeechEngine, SpeechRequest, Synthesizer, SynthesizerConfig, WeightsSource, weights,
};

/// One channel of 16 bits (IBM and Microsoft, “Multimedia Programming Interface and Data Specifications 1.0”).
fn write_wav(path: &str, rate: u32, samples: &[i16]) -> Result<()> {
    let bytes = u32::try_from(samples.len() * 2)?;
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(b"RIFF")?;
    out.write_all(&(36 + bytes).to_le_bytes())?;
    out.write_all(b"WAVEfmt \x10\0\0\0\x01\0\x01\0")?;
    out.write_all(&rate.to_le_bytes())?;
    out.write_all(&(rate * 2).to_le_bytes())?;
    out.write_all(b"\x02\0\x10\0data")?;
    out.write_all(&bytes.to_le_bytes())?;
    for sample in samples {
        out.write_all(&sample.to_le_bytes())?;
    }
    Ok(out.flush()?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (path, text, speed) = match words[..] {
        [path, text] => (path, text, 1.0),
        [path, text, speed] => (path, text, speed.parse().context("the speed is no number")?),
        _ => bail!("OUT.wav TEXT [SPEED]"),
    };
    let source = weights::PIPER_EN_US_JOE_MEDIUM;
    let source = WeightsSource::Published { source, cache_dir: weights::cache_dir()? };
    let mut config = SynthesizerConfig::default();
    if let Some(program) = std::env::var_os("ATELIER_ESPEAK") {
        config.phonemizer = Phonemizer { program: program.into(), ..Phonemizer::default() };
    }
    let engine = Synthesizer::lazy(source, config);
    let loading = Instant::now();
    let info = engine.warm().await?;
    println!("loaded in {:.2?}; planned memory_bytes={}", loading.elapsed(), info.memory_bytes);
    let started = Instant::now();
    let mut speech = engine.speak(SpeechRequest::new(text).with_speed(speed)).await?;
    let (rate, mut samples, mut first) = (speech.sample_rate(), Vec::new(), None);
    while let Some(piece) = speech.next().await {
        first.get_or_insert_with(|| started.elapsed());
        samples.extend(piece?);
    }
    let (took, sound) = (started.elapsed().as_secs_f64(), samples.len() as f64 / f64::from(rate));
    let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    println!(
        "first_sentence_s={:.2} sound_s={sound:.2} real_time_factor={:.3} loudest={loudest}",
        first.unwrap_or_default().as_secs_f64(),
        took / sound
    );
    write_wav(path, rate, &samples)
}
