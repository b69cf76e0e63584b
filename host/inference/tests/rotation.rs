//! How positions are rotated, as model files have it: with factors for frequencies, and with linear scaling.

#[path = "support/gguf_file.rs"]
mod gguf_file;

use atelier_inference::{ModelError, TextModel};
use gguf_file::{Rotation, rotated_llama};

/// Half of a head's width in the tiny model.
const HALF: usize = 8;
const TOKENS: [u32; 12] = [72, 101, 108, 108, 111, 32, 119, 111, 114, 108, 100, 33];

fn scores(rotation: &Rotation) -> Result<Vec<f32>, ModelError> {
    let (bytes, _) = rotated_llama(rotation);
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("the file can be written");
    let model = TextModel::load(file.path())?;
    model.forward(&TOKENS, &mut model.new_cache(TOKENS.len()))
}

fn most_apart(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
}

#[test]
fn factors_of_one_change_nothing() {
    let plain = scores(&Rotation::default()).expect("scores");
    let ones = Rotation { factors: Some(vec![1.0; HALF]), ..Rotation::default() };
    assert_eq!(scores(&ones).expect("scores"), plain);
}

#[test]
fn factors_divide_the_frequencies() {
    // The frequency of pair i is base^(-i / HALF): these factors make those of another base out of those of the usual one.
    let base = 500_000.0_f64;
    let factors = (0..HALF).map(|pair| (base / 10_000.0).powf(pair as f64 / HALF as f64) as f32).collect();
    let right = scores(&Rotation { base: Some(base as f32), ..Rotation::default() }).expect("scores");
    let found = scores(&Rotation { factors: Some(factors), ..Rotation::default() }).expect("scores");
    let plain = scores(&Rotation::default()).expect("scores");
    let (off, change) = (most_apart(&found, &right), most_apart(&plain, &right));
    assert!(change > 0.01, "the base changes nothing: {change}");
    assert!(off < change * 1e-3, "{off} off, where the base changes {change}");
}

#[test]
fn linear_scaling_divides_every_frequency() {
    let factors = Rotation { factors: Some(vec![4.0; HALF]), ..Rotation::default() };
    let right = scores(&factors).expect("scores");
    for scaling in [Some("linear".to_owned()), None] {
        let linear = Rotation { scaling, factor: Some(4.0), ..Rotation::default() };
        assert_eq!(scores(&linear).expect("scores"), right);
    }
    let none = Rotation { scaling: Some("none".to_owned()), factor: Some(4.0), ..Rotation::default() };
    assert_eq!(scores(&none).expect("scores"), scores(&Rotation::default()).expect("scores"));
}

#[test]
fn other_scaling_and_impossible_factors_are_refused() {
    let with = |factors: Vec<f32>| Rotation { factors: Some(factors), ..Rotation::default() };
    for factors in [vec![0.0; HALF], vec![-1.0; HALF], vec![f32::NAN; HALF], vec![f32::INFINITY; HALF]] {
        let error = scores(&with(factors)).expect_err("factors");
        assert!(
            matches!(&error, ModelError::BadTensor { name, .. } if name == "rope_freqs.weight"),
            "{error}"
        );
    }
    assert!(scores(&with(vec![1.0; HALF - 1])).is_err());
    let yarn = Rotation { scaling: Some("yarn".to_owned()), ..Rotation::default() };
    assert!(scores(&yarn).expect_err("yarn").to_string().contains("yarn"));
    for factor in [0.0, 0.5, -2.0, f32::NAN, f32::INFINITY] {
        let linear = Rotation { factor: Some(factor), ..Rotation::default() };
        assert!(matches!(scores(&linear), Err(ModelError::BadMetadata { .. })), "{factor}");
    }
}
