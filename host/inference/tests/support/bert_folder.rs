//! The folder of a tiny encoder of random weights.

use std::fs;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

pub const WIDTH: usize = 32;
pub const TOKENS_MAX: usize = 64;
const FEED: usize = 64;
const BLOCKS: usize = 2;
const PIECES: [&str; 9] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "##b", "!"];

pub fn config() -> Value {
    json!({
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": WIDTH, "num_hidden_layers": BLOCKS,
        "num_attention_heads": 4, "intermediate_size": FEED, "max_position_embeddings": 128,
        "vocab_size": PIECES.len(), "type_vocab_size": 2, "layer_norm_eps": 1e-12
    })
}

pub fn tokenizer() -> Value {
    let vocab: Map<String, Value> =
        PIECES.iter().zip(0..).map(|(piece, id)| (piece.to_string(), json!(id))).collect();
    json!({
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab}
    })
}

/// Names and shapes as transformers' `BertModel` has them.
fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut list = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![PIECES.len(), WIDTH]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![128, WIDTH]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, WIDTH]),
    ];
    let mut pair = |name: String, weight: Vec<usize>| {
        list.push((format!("{name}.bias"), vec![weight[0]]));
        list.push((format!("{name}.weight"), weight));
    };
    pair("embeddings.LayerNorm".to_owned(), vec![WIDTH]);
    for block in 0..BLOCKS {
        let name = |part: &str| format!("encoder.layer.{block}.{part}");
        for part in
            ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
        {
            pair(name(part), vec![WIDTH, WIDTH]);
        }
        pair(name("intermediate.dense"), vec![FEED, WIDTH]);
        pair(name("output.dense"), vec![WIDTH, FEED]);
        pair(name("attention.output.LayerNorm"), vec![WIDTH]);
        pair(name("output.LayerNorm"), vec![WIDTH]);
    }
    list
}

pub fn weights() -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape) in tensors() {
        let begin = data.len();
        for _ in 0..shape.iter().product() {
            data.extend(random.random_range(-0.5_f32..0.5).to_le_bytes());
        }
        header.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]}));
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

pub fn write(folder: &Path) {
    put(folder, "config.json", &config());
    put(folder, "tokenizer.json", &tokenizer());
    put(folder, "sentence_bert_config.json", &json!({"max_seq_length": TOKENS_MAX}));
    fs::write(folder.join("model.safetensors"), weights()).expect("the file can be written");
}

pub fn put(folder: &Path, name: &str, value: &Value) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
    fs::write(path, value.to_string()).expect("the file can be written");
}
