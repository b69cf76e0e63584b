//! The generator of faces, fetched by hash on first use, against the definition of its layers in double precision (`dcgan/reference.py`).

use std::sync::OnceLock;

use atelier_inference::ModelError;
use atelier_inference::dcgan::DcganModel;
use atelier_inference::weights;

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
