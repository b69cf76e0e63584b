//! Draw faces: `cargo run --release -p atelier-inference --example faces -- OUT.png [SEED]`.
//!
//! Writes a sheet of 4 × 4 faces, of the seed and the fifteen behind it, and prints the median time of one. The weights are fetched on first
//! use.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use atelier_inference::dcgan::DcganModel;
use atelier_inference::weights;
use image::{RgbImage, imageops};

const SIDE: u32 = 4;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (out, seed) = match &arguments[..] {
        [out] => (out, 1),
        [out, seed] => (out, seed.parse::<u64>().context("SEED is a number")?),
        _ => bail!("OUT.png [SEED]"),
    };
    let path = weights::fetch(&weights::GAN_FACE, &weights::cache_dir()?, |_| ())?;
    let loading = Instant::now();
    let model = DcganModel::load(&path).context("the model cannot be loaded")?;
    println!("loaded in {:.2?}; {:?}", loading.elapsed(), model.info());
    let side = u32::try_from(model.info().side)?;
    let mut sheet = RgbImage::new(SIDE * side, SIDE * side);
    let mut times = Vec::new();
    for at in 0..SIDE * SIDE {
        let started = Instant::now();
        let picture = model.generate(seed.wrapping_add(at.into()))?;
        times.push(started.elapsed());
        let face = RgbImage::from_raw(side, side, picture.bytes().to_vec()).context("a picture")?;
        imageops::replace(&mut sheet, &face, (at % SIDE * side).into(), (at / SIDE * side).into());
    }
    times.sort_unstable();
    println!("median {:.2?} a face", times[times.len() / 2]);
    Ok(sheet.save(out)?)
}
