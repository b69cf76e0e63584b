//! `speed transcribe FOLDER RECORDING.wav THREADS`: windows of 30 s that are written down in a second, the spectrogram included.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use atelier_inference::whisper::Manner;
use atelier_inference::{Transcriber, TranscriberConfig, TranscriptionEngine, WeightsSource};

use crate::median_of;

#[path = "../../tests/support/recording.rs"]
mod recording;

const ROUNDS: usize = 5;
const RATE: usize = 16_000;
const WINDOW: usize = 30 * RATE;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [folder, path, threads] = arguments else {
        bail!("usage: speed transcribe FOLDER RECORDING.wav THREADS")
    };
    let (samples, rate) = recording::read(&PathBuf::from(path));
    // The peer's pass takes the means of as many.
    let every = rate as usize / RATE;
    ensure!(every * RATE == rate as usize, "a multiple of {RATE} samples a second is wanted, not {rate}");
    let means = samples.chunks_exact(every.max(1)).map(|samples| samples.iter().sum::<f32>() / every as f32);
    let samples: Vec<f32> = means.take(WINDOW).collect();
    ensure!(samples.len() == WINDOW, "30 s are wanted");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let config = TranscriberConfig { threads: Some(threads.parse()?), ..TranscriberConfig::default() };
    let engine = Transcriber::lazy(WeightsSource::File(folder.into()), config);
    let manner = Manner { word_times: false, ..Manner::default() };
    let mut characters = 0;
    let seconds = median_of(ROUNDS, || {
        characters = 0;
        runtime.block_on(async {
            let sound = recording::Samples::new(samples.clone());
            let mut transcription = engine.transcribe(sound, manner.clone()).await?;
            while let Some(heard) = transcription.next().await? {
                characters += heard.segments.iter().map(|segment| segment.text.len()).sum::<usize>();
            }
            Ok(())
        })
    })?;
    println!("windows={:.3} characters={characters}", 1.0 / seconds);
    Ok(())
}
