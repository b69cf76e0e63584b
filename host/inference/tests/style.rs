//! The network of styles, fetched by hash on first use, against what onnxruntime makes of the same picture (`style/reference.py`).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use atelier_inference::style::{StyleInfo, StyleModel};
use atelier_inference::{ModelError, Picture, weights};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const PICTURE: &[u8] = include_bytes!("style/picture.bin");
const STYLED: &[u8] = include_bytes!("style/styles.bin");
const WIDTH: usize = 45;
const HEIGHT: usize = 38;
/// The script's, but for the sum of the last.
const MIXES: [&[(usize, f32)]; 4] = [&[(0, 1.0)], &[(7, 1.0)], &[(19, 1.0)], &[(3, 2.0), (12, 6.0)]];
/// Of a byte. The reference is in 16 bits, 0.06 of a byte at most, and a byte is rounded; measured 0.56.
const DIFFERENCE_MAX: f32 = 0.6;
/// Bytes of the published file that lie before its weights.
const GRAPH_BYTES: usize = 80_000;

fn file() -> PathBuf {
    let (source, cache_dir) = (weights::STYLE_MULTISTYLE26, weights::cache_dir().expect("a cache folder"));
    let path = weights::fetch(&source, &cache_dir, |_| ()).expect("the weights can be fetched");
    weights::verify(&source, &cache_dir).expect("they are whole");
    path
}

fn model() -> &'static StyleModel {
    static MODEL: OnceLock<StyleModel> = OnceLock::new();
    MODEL.get_or_init(|| StyleModel::load(&file()).expect("the weights load"))
}

fn picture() -> Picture {
    Picture::new(WIDTH, HEIGHT, 3, PICTURE.to_vec()).expect("a picture")
}

fn mix(parts: &[(usize, f32)]) -> Vec<f32> {
    let mut weights = vec![0.0; 26];
    parts.iter().for_each(|(style, weight)| weights[*style] = *weight);
    weights
}

#[test]
fn the_network_paints_what_onnxruntime_paints() {
    let StyleInfo { styles, parameters, .. } = *model().info();
    assert_eq!((styles, parameters), (26, 166_104));
    let pictures = STYLED.chunks_exact(2 * PICTURE.len());
    assert_eq!(pictures.len(), MIXES.len());
    for (parts, expected) in MIXES.into_iter().zip(pictures) {
        let found = model().restyle(&picture(), &mix(parts)).expect("it is painted");
        assert_eq!((found.width(), found.height(), found.channels()), (WIDTH, HEIGHT, 3));
        let expected = expected.as_chunks().0.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32());
        let apart =
            found.bytes().iter().zip(expected).map(|(found, x)| (f32::from(*found) - x * 255.0).abs());
        let difference = apart.fold(0.0, f32::max);
        println!("{parts:?}: greatest difference {difference:.3} of a byte");
        assert!(difference < DIFFERENCE_MAX, "{parts:?}: {difference}");
    }
}

#[test]
fn alpha_is_kept_and_colours_are_those_of_the_picture_without_it() {
    let colours = PICTURE.as_chunks::<3>().0.iter();
    let bytes = colours.enumerate().flat_map(|(at, [r, g, b])| [*r, *g, *b, at as u8]).collect();
    let with_alpha = Picture::new(WIDTH, HEIGHT, 4, bytes).expect("a picture");
    let found = model().restyle(&with_alpha, &mix(MIXES[1])).expect("it is painted");
    let plain = model().restyle(&picture(), &mix(MIXES[1])).expect("it is painted");
    let pairs = found.bytes().as_chunks::<4>().0.iter().zip(plain.bytes().as_chunks::<3>().0);
    for (at, (found, plain)) in pairs.enumerate() {
        assert_eq!((&found[..3], found[3]), (&plain[..], at as u8));
    }
}

#[test]
fn pictures_of_any_sides_keep_them_one_pixel_included() {
    for (width, height) in [(1, 1), (1, 50), (3, 2), (33, 31), (64, 35)] {
        let bytes = PICTURE.iter().copied().cycle().take(3 * width * height).collect();
        let picture = Picture::new(width, height, 3, bytes).expect("a picture");
        let found = model().restyle(&picture, &mix(MIXES[0])).expect("it is painted");
        assert_eq!((found.width(), found.height(), found.channels()), (width, height, 3));
    }
}

#[test]
fn weights_of_another_count_below_zero_without_sum_or_not_finite_are_refused() {
    let with = |weight| mix(&[(0, 1.0), (1, weight)]);
    let wrong =
        [vec![], vec![1.0; 25], vec![1.0; 27], mix(&[]), with(-0.1), with(f32::NAN), with(f32::INFINITY)];
    for weights in wrong {
        let refused = model().restyle(&picture(), &weights).expect_err("it must be refused");
        assert!(matches!(refused, ModelError::Unanswerable { parameter: "style", .. }), "{refused}");
    }
    // The sum is more than a 32-bit float holds.
    let [large, small] = [f32::MAX, 1.0].map(|weight| model().restyle(&picture(), &[weight; 26]));
    assert_eq!(large.expect("it is painted"), small.expect("it is painted"));
}

#[test]
fn a_picture_beyond_its_bound_is_refused_with_the_numbers() {
    let (model, needed) = planned(&file(), WIDTH * HEIGHT).expect("the weights load");
    assert_eq!(model.info().memory_bytes, needed);
    assert!(needed < self::model().info().memory_bytes / 10);
    assert!(model.restyle(&picture(), &mix(MIXES[0])).is_ok());
    // One pixel more, and fewer that are far more once the network can take them.
    for (width, height) in [(WIDTH * HEIGHT + 1, 1), (855, 1)] {
        let picture = Picture::new(width, height, 3, vec![0; 3 * width * height]).expect("a picture");
        let refused = model.restyle(&picture, &mix(MIXES[0])).expect_err("it must be refused");
        assert!(matches!(refused, ModelError::Unanswerable { parameter: "image", .. }), "{refused}");
        assert!(refused.to_string().contains("at most 1710 are"), "{refused}");
    }
}

#[test]
fn what_is_not_admitted_is_not_loaded() {
    let refused = StyleModel::load_planned(&file(), None, usize::MAX, |_, needs| needs.check(1 << 30));
    assert!(matches!(refused.map(|_| ()), Err(ModelError::DoesNotFit { .. })));
}

/// A model, and what it said that it needs.
fn planned(path: &Path, pixels_max: usize) -> Result<(StyleModel, u64), ModelError> {
    StyleModel::load_planned(path, Some(2), pixels_max, |_, needs| Ok(needs.whole_bytes()))
}

fn loaded(bytes: &[u8]) -> Result<StyleModel, ModelError> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("it is written");
    planned(file.path(), WIDTH * HEIGHT).map(|(model, _)| model)
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = std::fs::read(file()).expect("it is there");
    for end in (0..whole.len()).step_by(997).chain(whole.len() - 200..whole.len()) {
        assert!(loaded(&whole[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_file_of_another_kind_or_with_another_graph_is_refused() {
    let whole = std::fs::read(file()).expect("it is there");
    let name = whole.windows(8).position(|bytes| bytes == b"stylized").expect("it is there");
    let other = [&whole[..name], b"finished", &whole[name + 8..]].concat();
    let another = "is not supported; supported: the graph of multistyle26";
    let cases = [
        (vec![0xff; 1000], "no ONNX file"),
        ([b"RTEN", &whole[..]].concat(), "no ONNX file"),
        (vec![], another),
        (b"\x08\x07".to_vec(), another),
        (other, another),
        ([&whole[..], b"\x08\x07"].concat(), another),
        (vec![0; (16 << 20) + 1], "more than 16777216 bytes"),
    ];
    for (bytes, says) in cases {
        let refused = loaded(&bytes).expect_err("it must be refused").to_string();
        assert!(refused.contains(says), "{refused}");
    }
    assert!(matches!(StyleModel::load(Path::new("/nowhere.onnx")), Err(ModelError::Io { .. })));
}

#[test]
fn a_graph_with_any_other_byte_is_refused_before_it_computes() {
    let whole = std::fs::read(file()).expect("it is there");
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..2_000 {
        let mut bytes = whole.clone();
        let at = random.random_range(0..GRAPH_BYTES);
        bytes[at] ^= random.random_range(1..=255_u8);
        assert!(loaded(&bytes).is_err(), "byte {at} is {}", bytes[at]);
    }
}

#[test]
fn other_weights_paint_something_else_or_are_refused() {
    let whole = std::fs::read(file()).expect("it is there");
    let plain = model().restyle(&picture(), &mix(MIXES[0])).expect("it is painted");
    // The first weight of a tensor lies behind its name and the number and length, in so many bytes, of the field that holds all of them.
    let with = |name: &str, head: usize, value: f32| {
        let place = whole.windows(name.len()).rposition(|bytes| bytes == name.as_bytes());
        let at = place.expect("it is there") + name.len() + head;
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        loaded(&bytes).expect("its graph is known").restyle(&picture(), &mix(MIXES[0]))
    };
    assert_ne!(with("contract.0.w", 4, 1.0).expect("it is painted"), plain);
    // What is no number is lost in layers that cut at 0, but not behind the last of them.
    for value in [f32::NAN, f32::INFINITY] {
        let refused = with("expand.2.w", 3, value).expect_err("it must be refused");
        assert!(matches!(refused, ModelError::Compute { .. }), "{refused}");
    }
}
