//! `speed upscale FOLDER THREADS`: pixels of a picture of 256 × 256 that come in and are made larger in a second.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use atelier_inference::Picture;
use atelier_inference::esrgan::EsrganModel;

use crate::median_of;

const TILE_BYTES_MAX: u64 = 160 << 20;
const SIDE: usize = 256;
const ROUNDS: usize = 7;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [folder, threads] = arguments else { bail!("usage: speed upscale FOLDER THREADS") };
    let model = EsrganModel::load_on(Path::new(folder), TILE_BYTES_MAX, Some(threads.parse()?))?;
    let bytes = (0..SIDE * SIDE * 3).map(|at| (at * at / 97 % 256) as u8).collect();
    let picture = Picture::new(SIDE, SIDE, 3, bytes).context("a picture")?;
    let seconds = median_of(ROUNDS, || {
        ensure!(model.upscale(&picture)?.width() > SIDE, "it is not larger");
        Ok(())
    })?;
    println!("pixels={:.0}", (SIDE * SIDE) as f64 / seconds);
    Ok(())
}
