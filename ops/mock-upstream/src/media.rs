//! Images, sounds and films that decoders accept, made from nothing but a seed.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use bytes::Bytes;

use crate::dialect::Dialect;
use crate::reply::{Answer, Reply};
use crate::server::Shared;

/// Longest side of an image, in pixels.
const SIDE_MAX: u32 = 4096;
/// Samples per second of uncompressed sound.
pub(crate) const SAMPLE_RATE: u32 = 24_000;

/// Where the one film lies that answers link to.
pub(crate) const FILM: &str = "/files/film.mp4";

/// `GET /files/{WIDTHxHEIGHT-SEED.png}`: the images that answers link to. The name is all there is to them. Beside them the film.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/files/{name}", get(file))
}

async fn file(Path(name): Path<String>) -> Answer {
    if FILM.ends_with(&["/", &name].concat()) {
        return Ok(Reply::bytes(StatusCode::OK, "video/mp4", Bytes::from(mp4())));
    }
    let picture = Picture::named(&name);
    let lost = || Dialect::Replicate.refuse(StatusCode::NOT_FOUND, "The requested file does not exist.");
    Ok(Reply::bytes(StatusCode::OK, "image/png", picture.ok_or_else(lost)?.png()))
}

/// An image of one colour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Picture {
    pub width: u32,
    pub height: u32,
    pub seed: u64,
}

impl Picture {
    /// Where this server serves it.
    pub fn path(&self) -> String {
        format!("/files/{}x{}-{:x}.png", self.width, self.height, self.seed)
    }

    fn named(name: &str) -> Option<Self> {
        let (size, seed) = name.strip_suffix(".png")?.split_once('-')?;
        let (width, height) = dimensions(size)?;
        Some(Self { width, height, seed: u64::from_str_radix(seed, 16).ok()? })
    }

    /// A PNG with one bit for each pixel, all zero, and the colour in the palette.
    pub fn png(&self) -> Bytes {
        let mut bytes = Vec::new();
        let [red, green, blue, ..] = self.seed.to_le_bytes();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::One);
        encoder.set_palette(vec![red, green, blue]);
        let rows = vec![0; self.width.div_ceil(8) as usize * self.height as usize];
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&rows));
        written.expect("a vector takes every byte, and the rows fit the size");
        Bytes::from(bytes)
    }
}

/// `WIDTHxHEIGHT` in pixels, each from 1 to 4096.
pub(crate) fn dimensions(size: &str) -> Option<(u32, u32)> {
    let (width, height) = size.split_once('x')?;
    let side = |text: &str| text.parse().ok().filter(|side| (1..=SIDE_MAX).contains(side));
    Some((side(width)?, side(height)?))
}

/// Silence as MPEG-1 layer III: so many frames of 26 ms (128 kbit/s, 44.1 kHz, mono).
pub(crate) fn mp3(frames: usize) -> Vec<u8> {
    const FRAME_BYTES: usize = 417;
    let mut frame = vec![0; FRAME_BYTES];
    frame[..4].copy_from_slice(&[0xff, 0xfb, 0x90, 0xc4]);
    frame.repeat(frames)
}

/// A tone as 16-bit little-endian mono samples.
pub(crate) fn pcm(seconds: f32, sample_rate: u32) -> Vec<u8> {
    let samples = (seconds * sample_rate as f32) as u32;
    let turn = std::f32::consts::TAU * 440.0 / sample_rate as f32;
    (0..samples).flat_map(|at| (((at as f32 * turn).sin() * 8000.0) as i16).to_le_bytes()).collect()
}

/// The same tone in a RIFF file.
pub(crate) fn wav(seconds: f32) -> Vec<u8> {
    let samples = pcm(seconds, SAMPLE_RATE);
    let mut file = Vec::with_capacity(samples.len() + 44);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(samples.len() as u32 + 36).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
    file.extend_from_slice(&(SAMPLE_RATE * 2).to_le_bytes());
    file.extend_from_slice(&[2, 0, 16, 0]);
    file.extend_from_slice(b"data");
    file.extend_from_slice(&(samples.len() as u32).to_le_bytes());
    file.extend_from_slice(&samples);
    file
}

/// An ISO base media file (MP4) with a header, an empty movie and some data.
pub(crate) fn mp4() -> Vec<u8> {
    let mut header = vec![0; 100];
    header[12..16].copy_from_slice(&1000u32.to_be_bytes()); // timescale
    header[20..24].copy_from_slice(&0x0001_0000u32.to_be_bytes()); // rate 1.0
    header[24..26].copy_from_slice(&0x0100u16.to_be_bytes()); // volume 1.0
    for (at, one) in [(36, 0x0001_0000u32), (52, 0x0001_0000), (68, 0x4000_0000)] {
        header[at..at + 4].copy_from_slice(&one.to_be_bytes()); // the identity matrix
    }
    header[96..].copy_from_slice(&1u32.to_be_bytes()); // next track
    let mut file = boxed(b"ftyp", b"isom\0\0\x02\0isommp41");
    file.extend(boxed(b"moov", &boxed(b"mvhd", &header)));
    file.extend(boxed(b"mdat", &[0; 1024]));
    file
}

fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut bytes = (content.len() as u32 + 8).to_be_bytes().to_vec();
    bytes.extend_from_slice(kind);
    bytes.extend_from_slice(content);
    bytes
}

/// A file in pieces, as a server that makes it while sending would send it.
pub(crate) fn in_pieces(file: Vec<u8>, piece_bytes: usize) -> Vec<Bytes> {
    let mut rest = Bytes::from(file);
    let mut pieces = Vec::new();
    while rest.len() > piece_bytes {
        pieces.push(rest.split_to(piece_bytes));
    }
    pieces.push(rest);
    pieces
}
