//! all-MiniLM-L6-v2, fetched by hash on first use, against what its own stack makes of the same texts (`minilm/reference.py`).

use std::sync::OnceLock;

use atelier_inference::{BertModel, weights};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

const SOURCE: weights::Source = weights::ALL_MINILM_L6_V2;
/// Measured: cosine 1.000000000, greatest difference of a number 1.7e-7.
const COSINE_MIN: f64 = 0.999_999;
const DIFFERENCE_MAX: f64 = 2e-6;

#[derive(Deserialize)]
struct Reference {
    texts: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    ids: Vec<u32>,
    vector: String,
}

impl Row {
    fn vector(&self) -> Vec<f32> {
        let bytes = STANDARD.decode(&self.vector).expect("base64");
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }
}

fn reference() -> Vec<Row> {
    let read: Reference = serde_json::from_str(include_str!("minilm/reference.json")).expect("the reference");
    read.texts
}

fn model() -> &'static BertModel {
    static MODEL: OnceLock<BertModel> = OnceLock::new();
    MODEL.get_or_init(|| {
        let cache_dir = weights::cache_dir().expect("a cache folder");
        let folder = weights::fetch(&SOURCE, &cache_dir, |_| ()).expect("the weights can be fetched");
        weights::verify(&SOURCE, &cache_dir).expect("they are whole");
        BertModel::load(&folder).expect("the weights load")
    })
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn embed(texts: &[&str]) -> Vec<Vec<f32>> {
    let pieces = model().pieces();
    let ids: Vec<_> = texts.iter().map(|text| pieces.encode(text, 256).expect("it encodes")).collect();
    model().embed(&ids.iter().map(Vec::as_slice).collect::<Vec<_>>()).expect("they are embedded")
}

#[test]
fn the_model_is_what_its_files_say() {
    let info = model().info();
    assert_eq!((info.dimensions, info.tokens_max, info.parameters), (384, 256, 22_565_376));
    assert!((90_000_000..200_000_000).contains(&info.memory_bytes), "{} bytes", info.memory_bytes);
}

#[test]
fn tokens_are_those_of_the_models_own_tokenizer() {
    for row in reference() {
        let mut ids = model().pieces().encode(&row.text, 256).expect("it encodes");
        model().pieces().cut(&mut ids, 256);
        assert_eq!(ids, row.ids, "{:?}", row.text);
    }
}

#[test]
fn vectors_are_those_of_the_models_own_stack_alone_and_side_by_side() {
    let rows = reference();
    let texts: Vec<&[u32]> = rows.iter().map(|row| row.ids.as_slice()).collect();
    let together = model().embed(&texts).expect("they are embedded");
    let (mut worst_cosine, mut worst_difference) = (1.0_f64, 0.0_f64);
    for (row, together) in rows.iter().zip(together) {
        let expected = row.vector();
        let alone = model().embed(&[&row.ids]).expect("it is embedded").remove(0);
        for found in [alone, together] {
            assert_eq!(found.len(), 384);
            worst_cosine = worst_cosine.min(cosine(&found, &expected));
            for (found, expected) in found.iter().zip(&expected) {
                worst_difference = worst_difference.max((f64::from(*found) - f64::from(*expected)).abs());
            }
        }
    }
    println!("cosine {worst_cosine:.9} at worst; greatest difference {worst_difference:.2e}");
    assert!(worst_cosine > COSINE_MIN, "cosine {worst_cosine}");
    assert!(worst_difference < DIFFERENCE_MAX, "difference {worst_difference}");
}

#[test]
fn a_paraphrase_ranks_above_a_stranger() {
    let [question, paraphrase, stranger] = embed(&[
        "How do I reset my password?",
        "I forgot my login credentials and need to recover access.",
        "The recipe calls for two cups of flour and a pinch of salt.",
    ])
    .try_into()
    .expect("three vectors");
    let (near, far) = (cosine(&question, &paraphrase), cosine(&question, &stranger));
    assert!(near > 0.4 && far < 0.2, "paraphrase {near}, stranger {far}");
}

#[test]
fn marks_written_in_a_text_are_text() {
    let pieces = model().pieces();
    let ids = pieces.encode("a [SEP] b", 256).expect("it encodes");
    assert_eq!(ids.iter().filter(|id| **id == 102).count(), 1, "{ids:?}");
    assert_eq!(ids.len(), 7, "{ids:?}");
}

#[test]
fn a_long_text_encodes_part_by_part_as_it_does_in_one() {
    let pieces = model().pieces();
    let sentence = "Ångström's naïve café, 東京! re-encoded; e\u{301}tude… ";
    let one = pieces.encode(sentence, usize::MAX).expect("it encodes");
    let many = pieces.encode(&sentence.repeat(500), usize::MAX).expect("it encodes");
    let expected: Vec<u32> = one[1..one.len() - 1].repeat(500);
    assert_eq!(&many[1..many.len() - 1], expected);
    // What is beyond the limit is not encoded at all.
    let cut = pieces.encode(&sentence.repeat(500), 256).expect("it encodes");
    assert!(cut.len() > 256 && cut.len() < 3000, "{} tokens", cut.len());
}
