//! `speed chat FILE.gguf THREADS PROMPT_TOKENS ANSWER_TOKENS`: tokens a second, in the pieces that the engine takes.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use atelier_inference::{PREFILL_TOKENS_MAX, Precision, TextModel};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [file, threads, prompt, answer] = arguments else {
        bail!("usage: speed chat FILE.gguf THREADS PROMPT_TOKENS ANSWER_TOKENS")
    };
    let (prompt, answer): (usize, usize) = (prompt.parse()?, answer.parse()?);
    let model = TextModel::load_within(file, Precision::Fast, Some(threads.parse()?), u64::MAX)?;
    let tokens: Vec<u32> = (0..prompt as u32).map(|at| 1000 + at * 7 % 20_000).collect();
    model.forward(&tokens[..PREFILL_TOKENS_MAX.min(prompt)], &mut model.new_cache(prompt))?;

    let mut cache = model.new_cache(prompt + answer);
    let started = Instant::now();
    let mut scores = Vec::new();
    for piece in tokens.chunks(PREFILL_TOKENS_MAX) {
        scores = model.forward(piece, &mut cache)?;
    }
    let prefill = prompt as f64 / started.elapsed().as_secs_f64();

    let started = Instant::now();
    for _ in 0..answer {
        let best = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).context("no scores")?;
        scores = model.forward(&[u32::try_from(best)?], &mut cache)?;
    }
    let decode = answer as f64 / started.elapsed().as_secs_f64();
    println!("prefill={prefill:.2} decode={decode:.2}");
    Ok(())
}
