//! Repaint a picture: `cargo run --release -p atelier-inference --example style -- IN.png OUT.png STYLE [STYLE…]`.
//!
//! Several styles are mixed in equal parts; `all` writes a sheet of every one instead. Prints the time of each. The weights are fetched on
//! first use.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use atelier_inference::style::{PIXELS_MAX, StyleModel};
use atelier_inference::{Picture, weights};
use image::{RgbaImage, imageops};

const SHEET_COLUMNS: u32 = 7;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, styles @ ..] = &arguments[..] else { bail!("IN.png OUT.png STYLE [STYLE…]") };
    let path = weights::fetch(&weights::STYLE_MULTISTYLE26, &weights::cache_dir()?, |_| ())?;
    let loading = Instant::now();
    let threads = std::env::var("THREADS").ok().map(|count| count.parse()).transpose()?;
    let (model, needs) = StyleModel::load_planned(&path, threads, PIXELS_MAX, |_, needs| anyhow::Ok(needs))?;
    println!("loaded in {:.2?}; {:?}; {needs:?}", loading.elapsed(), model.info());
    let picture = image::open(from)?.into_rgba8();
    let (width, height) = picture.dimensions();
    let picture =
        Picture::new(width as usize, height as usize, 4, picture.into_raw()).context("a picture")?;
    let count = model.info().styles;
    let restyled = |styles: &[usize]| {
        ensure!(styles.iter().all(|style| *style < count), "styles are from 0 to {}", count - 1);
        let mut weights = vec![0.0; count];
        styles.iter().for_each(|style| weights[*style] += 1.0);
        let started = Instant::now();
        let restyled = model.restyle(&picture, &weights)?;
        println!("{styles:?} in {:.2?}", started.elapsed());
        RgbaImage::from_raw(width, height, restyled.into_bytes()).context("a picture")
    };
    if *styles != ["all"] {
        let styles: Vec<usize> = styles.iter().map(|style| style.parse()).collect::<Result<_, _>>()?;
        return Ok(restyled(&styles)?.save(to)?);
    }
    let rows = u32::try_from(count)?.div_ceil(SHEET_COLUMNS);
    let mut sheet = RgbaImage::new(SHEET_COLUMNS * width, rows * height);
    for style in 0..u32::try_from(count)? {
        let (column, row) = (style % SHEET_COLUMNS, style / SHEET_COLUMNS);
        let one = restyled(&[style as usize])?;
        imageops::replace(&mut sheet, &one, (column * width).into(), (row * height).into());
    }
    Ok(sheet.save(to)?)
}
