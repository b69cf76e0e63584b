//! `speed embed FOLDER THREADS TEXTS.json`: texts that become vectors in a second, one at a time and 32 at a time, the tokeniser included.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use atelier_inference::BertModel;

use crate::median_of;

const ROUNDS: usize = 3;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [folder, threads, texts] = arguments else { bail!("usage: speed embed FOLDER THREADS TEXTS.json") };
    let texts: Vec<String> = serde_json::from_slice(&std::fs::read(texts)?)?;
    let model = BertModel::load_on(Path::new(folder), Some(threads.parse()?))?;
    let per_second = |batch| -> Result<f64> {
        Ok(texts.len() as f64 / median_of(ROUNDS, || round(&model, &texts, batch))?)
    };
    println!("single={:.2} batched={:.2}", per_second(1)?, per_second(32)?);
    Ok(())
}

fn round(model: &BertModel, texts: &[String], batch: usize) -> Result<()> {
    for texts in texts.chunks(batch) {
        let ids = texts.iter().map(|text| model.pieces().encode(text, model.info().tokens_max));
        let ids: Vec<_> = ids.collect::<Result<_, _>>()?;
        let vectors = model.embed(&ids.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        ensure!(vectors.len() == texts.len(), "a vector is missing");
    }
    Ok(())
}
