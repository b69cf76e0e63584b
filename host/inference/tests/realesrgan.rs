//! Real-ESRGAN, fetched by hash on first use, against what ncnn makes of the same picture (`realesrgan/reference.py`).

use std::sync::OnceLock;

use atelier_inference::Picture;
use atelier_inference::esrgan::EsrganModel;
use atelier_inference::weights::{self, Source};

const PICTURE: &[u8] = include_bytes!("realesrgan/picture.bin");
const WIDTH: usize = 45;
const HEIGHT: usize = 38;
/// Of a byte. The reference is in 16 bits, 0.12 of a byte at most, and a byte is rounded.
const DIFFERENCE_MAX: f32 = 0.75;
/// Of a byte: what lies beyond the border of 20 pixels changes a tile of the large network by so much at most; measured 9.
const LARGE_TILES_MAX: u8 = 16;
const TILE_BYTES_MAX: u64 = 256 << 20;

fn model(source: &Source, tile_bytes_max: u64) -> EsrganModel {
    let cache_dir = weights::cache_dir().expect("a cache folder");
    let folder = weights::fetch(source, &cache_dir, |_| ()).expect("the weights can be fetched");
    weights::verify(source, &cache_dir).expect("they are whole");
    EsrganModel::load(&folder, tile_bytes_max).expect("the weights load")
}

fn compact() -> &'static EsrganModel {
    static MODEL: OnceLock<EsrganModel> = OnceLock::new();
    MODEL.get_or_init(|| model(&weights::REALESR_ANIMEVIDEOV3_X2, TILE_BYTES_MAX))
}

fn picture() -> Picture {
    Picture::new(WIDTH, HEIGHT, 3, PICTURE.to_vec()).expect("a picture")
}

/// The greatest difference from the reference, in units of a byte, where the reference is cut to bytes' range.
fn difference(found: &Picture, reference: &[u8]) -> f32 {
    let reference: Vec<f32> =
        reference.as_chunks().0.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect();
    assert_eq!(found.bytes().len(), reference.len());
    let differences = found
        .bytes()
        .iter()
        .zip(reference)
        .map(|(found, expected)| (f32::from(*found) - (expected * 255.0).clamp(0.0, 255.0)).abs());
    differences.fold(0.0, f32::max)
}

/// The greatest difference of two pictures in units of a byte, and how many bytes differ.
fn apart(one: &Picture, other: &Picture) -> (u8, usize) {
    assert_eq!((one.width(), one.height()), (other.width(), other.height()));
    let pairs = one.bytes().iter().zip(other.bytes());
    pairs.fold((0, 0), |(most, count), (one, other)| {
        (most.max(one.abs_diff(*other)), count + usize::from(one != other))
    })
}

#[test]
fn the_compact_network_draws_what_ncnn_draws() {
    let info = compact().info();
    assert_eq!((info.scale, info.border, info.parameters), (2, 20, 621_424));
    let found = compact().upscale(&picture()).expect("it is upscaled");
    assert_eq!((found.width(), found.height()), (2 * WIDTH, 2 * HEIGHT));
    let difference = difference(&found, include_bytes!("realesrgan/realesr-animevideov3-x2.bin"));
    println!("greatest difference {difference:.3} of a byte");
    assert!(difference < DIFFERENCE_MAX, "{difference}");
}

#[test]
fn the_large_network_draws_what_ncnn_draws() {
    let model = model(&weights::REALESRGAN_X4PLUS, TILE_BYTES_MAX);
    assert_eq!((model.info().scale, model.info().border), (4, 20));
    assert_eq!(model.tiles(&picture()).len(), 1);
    let found = model.upscale(&picture()).expect("it is upscaled");
    let difference = difference(&found, include_bytes!("realesrgan/realesrgan-x4plus.bin"));
    println!("greatest difference {difference:.3} of a byte");
    assert!(difference < DIFFERENCE_MAX, "{difference}");
}

#[test]
fn tiles_of_the_compact_network_are_parts_of_the_whole_but_for_rounding() {
    let bytes = PICTURE.repeat(9);
    let large = Picture::new(3 * WIDTH, 3 * HEIGHT, 3, bytes).expect("a picture");
    let whole = compact().upscale(&large).expect("it is upscaled");
    let tiled = model(&weights::REALESR_ANIMEVIDEOV3_X2, 5 << 20);
    assert_eq!(compact().tiles(&large).len(), 1);
    assert!(tiled.tiles(&large).len() >= 6, "{:?}", tiled.info());
    let (apart, count) = apart(&tiled.upscale(&large).expect("it is upscaled"), &whole);
    println!("{count} of {} bytes differ, by {apart} at most", whole.bytes().len());
    assert!(apart <= 1 && count <= whole.bytes().len() / 2_000, "{count} bytes by up to {apart}");
}

#[test]
fn tiles_of_the_large_network_are_hardly_seen() {
    let source = weights::REALESRGAN_X4PLUS;
    let large = Picture::new(WIDTH, 2 * HEIGHT, 3, PICTURE.repeat(2)).expect("a picture");
    let (whole, tiled) = (model(&source, TILE_BYTES_MAX), model(&source, 96 << 20));
    assert_eq!(whole.tiles(&large).len(), 1);
    assert!(tiled.tiles(&large).len() >= 2, "{:?}", tiled.info());
    let whole = whole.upscale(&large).expect("it is upscaled");
    let (apart, count) = apart(&tiled.upscale(&large).expect("it is upscaled"), &whole);
    println!("{count} of {} bytes differ, by {apart} at most", whole.bytes().len());
    assert!(apart <= LARGE_TILES_MAX, "{apart}");
}

#[test]
fn alpha_is_made_larger_beside_the_colours() {
    let alpha = |at: usize| if at % WIDTH < WIDTH / 2 { 0 } else { 255 };
    let bytes: Vec<u8> = PICTURE
        .as_chunks::<3>()
        .0
        .iter()
        .enumerate()
        .flat_map(|(at, [r, g, b])| [*r, *g, *b, alpha(at)])
        .collect();
    let with_alpha = Picture::new(WIDTH, HEIGHT, 4, bytes).expect("a picture");
    let found = compact().upscale(&with_alpha).expect("it is upscaled");
    let plain = compact().upscale(&picture()).expect("it is upscaled");
    for (at, (found, plain)) in
        found.bytes().as_chunks::<4>().0.iter().zip(plain.bytes().as_chunks::<3>().0).enumerate()
    {
        assert_eq!(found[..3], plain[..]);
        // The step lies between columns 43 and 44 of the result, and is mixed by quarters.
        let expected = match at % (2 * WIDTH) {
            ..43 => 0,
            43 => 64,
            44 => 191,
            _ => 255,
        };
        assert_eq!(found[3], expected, "pixel {at}");
    }
}

#[test]
fn a_budget_for_less_than_the_smallest_tile_is_refused_with_the_numbers() {
    let cache_dir = weights::cache_dir().expect("a cache folder");
    let source = weights::REALESR_ANIMEVIDEOV3_X2;
    let folder = weights::fetch(&source, &cache_dir, |_| ()).expect("the weights can be fetched");
    let refused = EsrganModel::load(&folder, 1 << 20).expect_err("it must be refused").to_string();
    assert!(refused.contains("may take 1048576"), "{refused}");
}
