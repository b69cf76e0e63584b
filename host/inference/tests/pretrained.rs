//! A folder as transformers saves it: its prompts and scores are those of `pretrained/reference.py`, and what is not known is refused.

use std::fs;
use std::path::{Path, PathBuf};

use atelier_inference::kernels::cpu::Cpu;
use atelier_inference::{
    ChatRequest, Engine, EngineConfig, Event, Message, Precision, Role, TextEngine, TextModel, WeightsSource,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

const FIRST: &str = "model-00001-of-00002.safetensors";
const INDEX: &str = "model.safetensors.index.json";

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    scores: Vec<f64>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pretrained/llama")
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("pretrained/reference.json")).expect("the fixture")
}

/// A copy of the folder that may be damaged.
fn copy() -> TempDir {
    let copy = tempfile::tempdir().expect("a temporary folder");
    for file in fs::read_dir(folder()).expect("the fixture") {
        let path = file.expect("the fixture").path();
        fs::copy(&path, copy.path().join(path.file_name().expect("a name"))).expect("it is copied");
    }
    copy
}

fn change(folder: &TempDir, name: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.path().join(name);
    let mut value = serde_json::from_slice(&fs::read(&path).expect("it is there")).expect("JSON");
    change(&mut value);
    fs::write(path, value.to_string()).expect("it is written");
}

fn refusal(folder: &TempDir) -> String {
    TextModel::load(folder.path()).expect_err("it must be refused").to_string()
}

#[test]
fn prompts_and_scores_are_those_of_the_reference() {
    let model = TextModel::load(folder()).expect("it loads");
    assert_eq!(model.info().context_tokens, 512);
    let mut greatest = 0.0_f64;
    for Case { text, ids, scores } in cases() {
        let prompt = model.prompt(&[Message::new(Role::User, text.clone())]).expect("it is encoded");
        assert_eq!(prompt, ids, "{text}");
        let mut cache = model.new_cache(ids.len());
        let found = model.forward(&ids, &mut cache).expect("it computes");
        assert_eq!(found.len(), scores.len());
        for (found, expected) in found.iter().zip(&scores) {
            greatest = greatest.max((f64::from(*found) - expected).abs());
        }
    }
    println!("greatest difference {greatest:.1e}");
    assert!(greatest < 2e-5, "{greatest}");
}

/// Weights in 16 bits are the same at either precision; the attention cache has half of the bytes, and rounds to 16 bits: a
/// difference of 0.017 was measured.
#[test]
fn the_lesser_precision_rounds_the_attention_cache_alone() {
    let load = |precision| TextModel::load_on(folder(), Cpu::new(Some(1)).expect("threads"), precision);
    let [exact, fast] = [Precision::Exact, Precision::Fast].map(|p| load(p).expect("it loads"));
    assert_eq!(exact.info().memory_bytes, fast.info().memory_bytes);
    assert_eq!(exact.info().cache_bytes_per_page, 2 * fast.info().cache_bytes_per_page);
    let ids = &cases()[0].ids;
    let score = |model: &TextModel| model.forward(ids, &mut model.new_cache(ids.len())).expect("it computes");
    let differences = score(&exact).into_iter().zip(score(&fast)).map(|(exact, fast)| (exact - fast).abs());
    assert!(differences.fold(0.0, f32::max) < 0.05);
}

#[tokio::test]
async fn a_folder_answers_as_a_file_does() {
    let engine = Engine::lazy(WeightsSource::File(folder()), EngineConfig::default());
    let request = ChatRequest::new([(Role::User, "The ships")]).with_max_tokens(8);
    let answer = async { engine.generate(request).await?.collect().await };
    let (_, end) = answer.await.expect("it answers");
    assert!(matches!(end, Event::Finished { completion_tokens: 1..=8, .. }), "{end:?}");
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let configured = |key: &'static str, value: Value| {
        let folder = copy();
        change(&folder, "config.json", |config| config[key] = value);
        refusal(&folder)
    };
    for (key, value, says) in [
        ("model_type", json!("gpt2"), "model family gpt2"),
        ("hidden_act", json!("relu"), "activation relu"),
        ("attention_bias", json!(true), "biases"),
        ("sliding_window", json!(128), "a sliding window of 128"),
        ("rope_scaling", json!({"rope_type": "yarn"}), "rotary scaling yarn"),
        ("rope_scaling", json!({"type": "llama3"}), "rope_scaling.factor"),
        ("head_dim", json!(5), "even width"),
        ("vocab_size", json!(0), "vocab_size"),
        ("vocab_size", json!(1 << 30), "vocab_size"),
        ("vocab_size", json!(200), "beyond the 200"),
        ("num_hidden_layers", json!(3), "blk.2"),
        ("num_key_value_heads", json!(3), "does not divide"),
        ("intermediate_size", json!(47), "its shape is [48, 32]"),
        ("hidden_size", json!("wide"), "config.json"),
    ] {
        let refused = configured(key, value);
        assert!(refused.contains(says), "{key}: {refused}");
    }
    let worded = |change_words: fn(&mut Value)| {
        let folder = copy();
        change(&folder, "tokenizer.json", change_words);
        refusal(&folder)
    };
    for (change_words, says) in [
        ((|words| words["model"]["type"] = json!("Unigram")) as fn(&mut Value), "tokenizer Unigram"),
        (|words| words["model"]["byte_fallback"] = json!(true), "BPE of characters"),
        (|words| words["normalizer"] = json!({"type": "NFC"}), "normalizer"),
        (|words| words["pre_tokenizer"] = json!({"type": "Whitespace"}), "pre-tokenisation"),
        (|words| words["model"]["vocab"]["extra"] = json!(0), "two tokens of the number 0"),
        (|words| words["model"]["merges"][0] = json!(["a b", "c"]), "a space in it"),
    ] {
        let refused = worded(change_words);
        assert!(refused.contains(says), "{says}: {refused}");
    }
}

#[test]
fn damaged_and_hostile_folders_are_refused() {
    for (name, says) in
        [("config.json", "config.json"), (FIRST, "00001"), ("tokenizer.json", "tokenizer.json")]
    {
        let folder = copy();
        fs::remove_file(folder.path().join(name)).expect("it is removed");
        assert!(refusal(&folder).contains(says), "{name}");
        let folder = copy();
        let file = fs::OpenOptions::new().write(true).open(folder.path().join(name)).expect("it is there");
        file.set_len(100).expect("it is cut");
        TextModel::load(folder.path()).expect_err("it must be refused");
    }
    for shard in ["../model.safetensors", "/etc/passwd", ".", ""] {
        let folder = copy();
        change(&folder, INDEX, |index| index["weight_map"]["lm_head.weight"] = json!(shard));
        let refused = refusal(&folder);
        assert!(refused.contains("files of the folder itself"), "{shard}: {refused}");
    }
    let folder = copy();
    fs::copy(folder.path().join(FIRST), folder.path().join("again.safetensors")).expect("it is copied");
    change(&folder, INDEX, |index| index["weight_map"]["other"] = json!("again.safetensors"));
    assert!(refusal(&folder).contains("it is in two files"));
    // A file of its own goes before shards; there it has a bias, and what it lacks is told of.
    let folder = copy();
    fs::copy(folder.path().join(FIRST), folder.path().join("model.safetensors")).expect("it is copied");
    assert!(refusal(&folder).contains("it is missing"));
    let mut bytes = fs::read(folder.path().join(FIRST)).expect("it is there");
    let at = bytes.windows(21).position(|found| found == b"self_attn.q_proj.weig").expect("it is there");
    bytes[at + 17..at + 23].copy_from_slice(b"w.bias");
    fs::write(folder.path().join("model.safetensors"), bytes).expect("it is written");
    assert!(refusal(&folder).contains("biases"));
}

/// Rotations are kept for as many positions as fit a machine, and plans do not grow with what nobody computes.
#[test]
fn a_context_beyond_what_is_kept_is_cut() {
    let folder = copy();
    change(&folder, "config.json", |config| config["max_position_embeddings"] = json!(1_024_000));
    let model = TextModel::load(folder.path()).expect("it loads");
    assert_eq!(model.info().context_tokens, 1 << 17);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    assert!(model.info().memory_bytes < (16 << 20) * (1 + threads), "{:?}", model.info());
}
