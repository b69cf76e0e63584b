//! What the model computes, against what llama.cpp computes from the same file (`smollm2/reference.py`).

use atelier_inference::{Precision, TextModel, weights};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

/// The likeliest tokens after a text, and their log probabilities: with 32-bit floats, and with products in 8 bits.
#[derive(Deserialize)]
struct Case {
    text: String,
    tokens: Vec<u32>,
    top: Vec<usize>,
    exact: Vec<f64>,
    fast: Vec<f64>,
}

fn reference() -> Vec<Case> {
    let text = include_str!("smollm2/reference.json");
    serde_json::from_str::<Reference>(text).expect("the fixture").cases
}

fn model(precision: Precision) -> TextModel {
    let cache_dir = weights::cache_dir().expect("a cache folder");
    let path = weights::fetch(&weights::SMOLLM2_135M_INSTRUCT, &cache_dir, |_| ())
        .expect("the weights can be fetched");
    TextModel::load_within(path, precision, None, u64::MAX).expect("the weights load")
}

/// Log probabilities of some tokens after others, which are read at once.
fn log_probabilities(model: &TextModel, tokens: &[u32], of: &[usize]) -> Vec<f64> {
    let mut cache = model.new_cache(tokens.len());
    let scores = model.forward(tokens, &mut cache).expect("it runs");
    let most = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = scores.iter().map(|score| (f64::from(*score) - most).exp()).sum();
    of.iter().map(|token| f64::from(scores[*token]) - most - sum.ln()).collect()
}

fn greatest_difference(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max)
}

#[test]
fn tokens_are_those_of_llama_cpp() {
    let model = model(Precision::Fast);
    for case in reference() {
        let mut tokens = Vec::new();
        model.tokenizer().encode_plain(&case.text, &mut tokens).expect("it encodes");
        assert_eq!(tokens, case.tokens, "{:?}", case.text);
    }
}

/// Sums of floats in another order: measured 7e-6 at most.
#[test]
fn exact_arithmetic_gives_the_log_probabilities_of_llama_cpp_with_floats() {
    let model = model(Precision::Exact);
    for case in reference() {
        let ours = log_probabilities(&model, &case.tokens, &case.top);
        let difference = greatest_difference(&ours, &case.exact);
        println!("{:?}: {difference:.2e}", case.text);
        assert!(difference < 1e-4, "{:?}: {difference}", case.text);
    }
}

/// Both round activations to 8 bits, in other places: neither is nearer to exact arithmetic than the other by much.
#[test]
fn fast_arithmetic_is_as_near_to_exact_arithmetic_as_llama_cpp_is() {
    let model = model(Precision::Fast);
    let (mut ours_off, mut theirs_off) = (0.0, 0.0);
    for case in reference() {
        let ours = log_probabilities(&model, &case.tokens, &case.top);
        let off = |found: &[f64]| -> f64 {
            found.iter().zip(&case.exact).map(|(found, wanted)| (found - wanted).abs()).sum::<f64>()
        };
        println!("{:?}: ours {:.3}, llama.cpp {:.3}", case.text, off(&ours), off(&case.fast));
        ours_off += off(&ours);
        theirs_off += off(&case.fast);
        assert!(greatest_difference(&ours, &case.exact) < 0.5, "{:?}: {ours:?}", case.text);
    }
    println!("together: ours {ours_off:.3}, llama.cpp {theirs_off:.3}");
    assert!(ours_off < theirs_off * 1.5, "ours {ours_off}, llama.cpp {theirs_off}");
}
