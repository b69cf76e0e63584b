//! Make a picture larger: `cargo run --release -p atelier-inference --example upscale -- IN.png OUT.png [FOLDER]`.
//!
//! Without a folder of `model.param` and `model.bin`, the model is `realesr-animevideov3` to twice the size, fetched on first use.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use atelier_inference::Picture;
use atelier_inference::esrgan::EsrganModel;
use atelier_inference::weights;
use image::{ExtendedColorType, ImageEncoder, ImageReader};

const TILE_BYTES_MAX: u64 = 160 << 20;

fn read(path: &str) -> Result<Picture> {
    let image = ImageReader::new(BufReader::new(File::open(path)?)).with_guessed_format()?.decode()?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (channels, bytes) = match image.color().has_alpha() {
        true => (4, image.into_rgba8().into_raw()),
        false => (3, image.into_rgb8().into_raw()),
    };
    Picture::new(width, height, channels, bytes).context("the picture is empty")
}

fn write(path: &str, picture: &Picture) -> Result<()> {
    let colour = if picture.channels() == 4 { ExtendedColorType::Rgba8 } else { ExtendedColorType::Rgb8 };
    let encoder = image::codecs::png::PngEncoder::new(BufWriter::new(File::create(path)?));
    let (width, height) = (u32::try_from(picture.width())?, u32::try_from(picture.height())?);
    Ok(encoder.write_image(picture.bytes(), width, height, colour)?)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (from, to, folder) = match words[..] {
        [from, to] => (from, to, None),
        [from, to, folder] => (from, to, Some(PathBuf::from(folder))),
        _ => bail!("IN.png OUT.png [FOLDER]"),
    };
    let folder = match folder {
        Some(folder) => folder,
        None => weights::fetch(&weights::REALESR_ANIMEVIDEOV3_X2, &weights::cache_dir()?, |_| ())?,
    };
    let loading = Instant::now();
    let model = EsrganModel::load(&folder, TILE_BYTES_MAX).context("the model cannot be loaded")?;
    println!("loaded in {:.2?}; {:?}", loading.elapsed(), model.info());
    let picture = read(from)?;
    let started = Instant::now();
    let larger = model.upscale(&picture)?;
    let pixels = (picture.width() * picture.height()) as f64;
    println!("pixels_per_s={:.0}", pixels / started.elapsed().as_secs_f64());
    write(to, &larger)
}
