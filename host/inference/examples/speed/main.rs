//! One pass of `cargo xtask bench inference`: `speed KIND …` prints figures as `name=number`. `speed weights` fetches the published models
//! and prints where they are; the other kinds say what they want when they are asked for nothing.

mod chat;
mod clients;
mod embed;
mod transcribe;
mod upscale;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use atelier_inference::weights::{self, Source};

/// What is measured, by their names in `speed weights`.
const MODELS: [(&str, Source); 5] = [
    ("chat", weights::SMOLLM2_135M_INSTRUCT),
    ("embed", weights::ALL_MINILM_L6_V2),
    ("transcribe", weights::WHISPER_TINY_EN),
    ("recordings", weights::SPEECH),
    ("upscale", weights::REALESR_ANIMEVIDEOV3_X2),
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (kind, arguments) =
        arguments.split_first().context("weights, chat, clients, embed, transcribe or upscale")?;
    match kind.as_str() {
        "weights" => weights(),
        "chat" => chat::run(arguments),
        "clients" => clients::run(arguments),
        "embed" => embed::run(arguments),
        "transcribe" => transcribe::run(arguments),
        "upscale" => upscale::run(arguments),
        other => bail!("there is no {other:?}: weights, chat, clients, embed, transcribe or upscale"),
    }
}

fn weights() -> Result<()> {
    let cache = weights::cache_dir()?;
    for (name, source) in MODELS {
        let path: PathBuf = weights::fetch(&source, &cache, |_| ())?;
        println!("{name}={}", path.display());
    }
    Ok(())
}

/// The median of the rounds in seconds, behind one that is not counted.
fn median_of(rounds: usize, mut round: impl FnMut() -> Result<()>) -> Result<f64> {
    round()?;
    let mut seconds: Vec<Duration> = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let started = Instant::now();
        round()?;
        seconds.push(started.elapsed());
    }
    seconds.sort_unstable();
    Ok(seconds.get(rounds / 2).context("no rounds")?.as_secs_f64())
}
