//! Write a recording down: `cargo run --release -p atelier-inference --example transcribe -- recording.wav` (16 kHz, 16 bits, one
//! channel).

#[path = "../tests/support/recording.rs"]
mod recording;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use atelier_inference::whisper::Manner;
use atelier_inference::{Transcriber, TranscriberConfig, TranscriptionEngine, WeightsSource, weights};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().context("a WAV file")?);
    let (samples, rate) = recording::read(&path);
    ensure!(rate == 16_000, "it has {rate} samples a second, not 16000");
    let source = weights::WHISPER_TINY_EN;
    let source = WeightsSource::Published { source, cache_dir: weights::cache_dir()? };
    let engine =
        Transcriber::lazy(source, TranscriberConfig { threads: Some(2), ..TranscriberConfig::default() });
    println!("{:?}", engine.warm().await?);
    let manner = Manner { word_times: true, ..Manner::default() };
    let started = Instant::now();
    let mut transcription = engine.transcribe(recording::Samples::new(samples.clone()), manner).await?;
    while let Some(heard) = transcription.next().await? {
        for segment in &heard.segments {
            println!("{:7.2} – {:7.2} {}", segment.seconds.start, segment.seconds.end, segment.text);
            for word in &segment.words {
                print!("{} {:.2}–{:.2}; ", word.text, word.seconds.start, word.seconds.end);
            }
            println!();
        }
    }
    println!("{:.2} s for {:.1} s", started.elapsed().as_secs_f64(), samples.len() as f64 / 16_000.0);
    Ok(())
}
