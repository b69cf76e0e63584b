//! How fast texts become vectors: `cargo run --release -p atelier-inference --example embed -- [FOLDER]`.
//!
//! Prints a line for one text at a time and one for 32 at a time: the median round's texts and tokens per second, tokenising
//! included. With `--texts` it prints the texts instead, as JSON, so that another engine can be measured on the same ones.
//! Threads are those of `RAYON_NUM_THREADS`. `embed_onnxruntime.py` beside this measures onnxruntime.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use atelier_inference::{BertModel, weights};

const TEXTS: usize = 64;
const BATCHES: [usize; 2] = [1, 32];
const MEASURED: Duration = Duration::from_secs(8);
const SENTENCES: [&str; 8] = [
    "How do I reset my password?",
    "The invoice was paid on the third of March, but the receipt never arrived.",
    "A lighthouse in a storm.",
    "Quarterly revenue grew by 12% while operating costs stayed flat, so the margin widened.",
    "Whisk two eggs with a pinch of salt, fold in the flour, and let the batter rest for an hour.",
    "The patient reports intermittent headaches and sensitivity to light.",
    "Rust's ownership rules are checked at compile time; no collector runs beside the program.",
    "Tickets are refunded within fourteen days of a cancelled performance.",
];

/// Texts of 1 to 12 sentences, so of about 10 to 200 tokens.
fn texts() -> Vec<String> {
    let text = |index: usize| {
        let count = 1 + index * 5 % 12;
        let sentences: Vec<&str> = (0..count).map(|n| SENTENCES[(index + 3 * n) % SENTENCES.len()]).collect();
        sentences.join(" ")
    };
    (0..TEXTS).map(text).collect()
}

/// One round over all texts; the tokens that it read.
fn round(model: &BertModel, texts: &[String], batch: usize) -> Result<usize> {
    let mut tokens = 0;
    for texts in texts.chunks(batch) {
        let mut ids = Vec::with_capacity(batch);
        for text in texts {
            ids.push(model.pieces().encode(text, model.info().tokens_max)?);
        }
        tokens += ids.iter().map(Vec::len).sum::<usize>();
        let vectors = model.embed(&ids.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        anyhow::ensure!(vectors.len() == texts.len(), "a vector is missing");
    }
    Ok(tokens)
}

fn main() -> Result<()> {
    let texts = texts();
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("--texts") {
        println!("{}", serde_json::to_string(&texts)?);
        return Ok(());
    }
    let folder = match argument {
        Some(folder) => PathBuf::from(folder),
        None => weights::fetch(&weights::ALL_MINILM_L6_V2, &weights::cache_dir()?, |_| ())?,
    };
    let loading = Instant::now();
    let model = BertModel::load(&folder).context("the model cannot be loaded")?;
    println!("loaded in {:.2?}; {} bytes planned", loading.elapsed(), model.info().memory_bytes);
    for batch in BATCHES {
        round(&model, &texts, batch)?;
        let mut seconds = Vec::new();
        let mut tokens = 0;
        let started = Instant::now();
        while started.elapsed() < MEASURED || seconds.len() < 3 {
            let begun = Instant::now();
            tokens = round(&model, &texts, batch)?;
            seconds.push(begun.elapsed().as_secs_f64());
        }
        seconds.sort_unstable_by(f64::total_cmp);
        let median = seconds[seconds.len() / 2];
        println!(
            "batch={batch} texts_per_s={:.1} tokens_per_s={:.0} rounds={}",
            TEXTS as f64 / median,
            tokens as f64 / median,
            seconds.len()
        );
    }
    Ok(())
}
