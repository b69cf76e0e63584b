//! The generator of faces, fetched by hash on first use, against the definition of its layers in double precision (`dcgan/reference.py`).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use atelier_inference::ModelError;
use atelier_inference::dcgan::DcganModel;
use atelier_inference::weights;
use torch_file::{archive, pickle, tensor, text};
use zip::CompressionMethod;

#[path = "support/torch_file.rs"]
mod torch_file;

const LATENTS: &[u8] = include_bytes!("dcgan/latents.bin");
const PICTURES: &[u8] = include_bytes!("dcgan/pictures.bin");
/// Of values from −1 to 1: measured 5.1e-7.
const DIFFERENCE_MAX: f32 = 2e-6;

fn model() -> &'static DcganModel {
    static MODEL: OnceLock<DcganModel> = OnceLock::new();
    MODEL.get_or_init(|| {
        let (source, cache_dir) = (weights::GAN_FACE, weights::cache_dir().expect("a cache folder"));
        let path = weights::fetch(&source, &cache_dir, |_| ()).expect("the weights can be fetched");
        weights::verify(&source, &cache_dir).expect("they are whole");
        DcganModel::load(&path).expect("the weights load")
    })
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn the_generator_draws_what_its_definition_draws() {
    let info = model().info();
    assert_eq!((info.latents, info.side, info.parameters), (100, 64, 3_576_704));
    let (latents, pictures) = (floats(LATENTS), floats(PICTURES));
    let mut worst = 0.0_f32;
    for (latents, expected) in latents.chunks_exact(100).zip(pictures.chunks_exact(64 * 64 * 3)) {
        let found = model().values(latents).expect("a picture");
        assert_eq!(found.len(), expected.len());
        worst = found.iter().zip(expected).map(|(found, x)| (found - x).abs()).fold(worst, f32::max);
        let picture = model().generate_from(latents).expect("a picture");
        for (byte, value) in picture.bytes().iter().zip(expected) {
            assert!((f32::from(*byte) - (value + 1.0) * 127.5).abs() < 0.51, "{byte} for {value}");
        }
    }
    println!("greatest difference {worst:.1e}");
    assert!(worst < DIFFERENCE_MAX, "{worst}");
}

#[test]
fn a_seed_is_a_picture_and_another_seed_another() {
    let [one, again, other] = [1, 1, 2].map(|seed| model().generate(seed).expect("a picture"));
    assert_eq!((one.width(), one.height(), one.channels()), (64, 64, 3));
    assert!(one == again && one != other);
}

#[test]
fn other_counts_and_numbers_that_are_not_finite_are_refused() {
    for latents in [vec![0.0; 99], vec![0.0; 101], vec![f32::NAN; 100]] {
        let refused = model().generate_from(&latents).expect_err("it must be refused");
        assert!(matches!(refused, ModelError::Unanswerable { parameter: "latents", .. }), "{refused}");
    }
}

/// The shapes of a small generator's tensors: 5 numbers, then 8, 6, 4 and 2 channels, then colours.
fn shapes() -> BTreeMap<String, Vec<i32>> {
    let channels = [5, 8, 6, 4, 2, 3];
    let mut shapes = BTreeMap::new();
    for (layer, sides) in channels.windows(2).enumerate() {
        shapes.insert(format!("{}.weight", 3 * layer), vec![sides[0], sides[1], 4, 4]);
        for name in ["weight", "bias", "running_mean", "running_var"].iter().filter(|_| layer < 4) {
            shapes.insert(format!("{}.{name}", 3 * layer + 1), vec![sides[1]]);
        }
    }
    shapes
}

/// A checkpoint of tensors of these shapes, whose numbers are those of one storage from its begin.
fn loaded(shapes: &BTreeMap<String, Vec<i32>>) -> Result<DcganModel, ModelError> {
    let count = shapes.values().map(|shape| shape.iter().product()).max().unwrap_or(0);
    let entries = shapes.iter().flat_map(|(name, shape)| {
        let strides = (1..=shape.len()).map(|at| shape[at..].iter().product()).collect::<Vec<i32>>();
        [text(&format!("netG_state_dict.main.{name}")), tensor("FloatStorage", count, 0, shape, &strides)]
    });
    let named = pickle(&[&b"}("[..], &entries.collect::<Vec<_>>().concat(), b"u"].concat());
    let numbers: Vec<u8> = (0..count).flat_map(|at| (at as f32 / count as f32).to_le_bytes()).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("weights.tar");
    archive(&path, &[("m/data.pkl", &named), ("m/data/0", &numbers)], CompressionMethod::Stored);
    DcganModel::load(&path)
}

#[test]
fn a_generator_of_other_channels_is_known_by_its_shapes() {
    let model = loaded(&shapes()).expect("it is loaded");
    let info = model.info();
    assert_eq!((info.latents, info.side, info.parameters), (5, 64, 16 * 126 + 2 * 20));
    assert_eq!(model.generate(1).expect("a picture").width(), 64);
}

#[test]
fn a_tensor_that_is_missing_or_of_another_shape_is_named() {
    let cases: [(&str, Option<&[i32]>); 11] = [
        ("0.weight", Some(&[5, 8, 3, 4])),
        ("0.weight", Some(&[5, 8, 16])),
        ("0.weight", Some(&[0, 8, 4, 4])),
        // More channels than any such network has.
        ("0.weight", Some(&[1, 4097, 4, 4])),
        ("3.weight", Some(&[7, 6, 4, 4])),
        ("12.weight", Some(&[2, 4, 4, 4])),
        ("6.weight", None),
        ("1.bias", None),
        ("4.running_var", Some(&[7])),
        ("4.running_mean", Some(&[1, 6])),
        ("10.weight", Some(&[1])),
    ];
    for (name, shape) in cases {
        let mut shapes = shapes();
        match shape {
            Some(shape) => shapes.insert(name.to_owned(), shape.to_vec()),
            None => shapes.remove(name),
        };
        let refused = loaded(&shapes).expect_err("it must be refused");
        let named = format!("netG_state_dict.main.{name}");
        assert!(
            matches!(&refused, ModelError::BadTensor { name, .. } if *name == named),
            "{named}: {refused}"
        );
    }
}
