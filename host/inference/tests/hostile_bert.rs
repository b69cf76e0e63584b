//! Damaged and hostile folders of encoders are refused: with an error that names what is wrong, without a panic.

#[path = "support/bert_folder.rs"]
mod bert_folder;

use std::fs;
use std::path::Path;

use atelier_inference::BertModel;
use serde_json::{Value, json};

#[track_caller]
fn refused(folder: &Path, why: &str) {
    let error = BertModel::load(folder).expect_err("it must be refused").to_string();
    assert!(error.contains(why), "{error:?} does not say {why:?}");
}

/// A whole folder with one file's member replaced.
fn with(name: &str, mut file: Value, pointer: &str, value: Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    bert_folder::write(folder.path());
    *file.pointer_mut(pointer).expect("the member is there") = value;
    bert_folder::put(folder.path(), name, &file);
    folder
}

#[test]
fn a_whole_folder_loads() {
    let folder = with("config.json", bert_folder::config(), "/hidden_act", json!("gelu"));
    let model = BertModel::load(folder.path()).expect("it is whole");
    assert_eq!(model.info().tokens_max, bert_folder::TOKENS_MAX);
    fs::remove_file(folder.path().join("sentence_bert_config.json")).expect("it can be removed");
    assert_eq!(BertModel::load(folder.path()).expect("it is whole").info().tokens_max, 128);
}

#[test]
fn dimensions_out_of_range_are_refused_by_name() {
    for (key, value, why) in [
        ("model_type", json!("roberta"), "model family roberta is not supported"),
        ("hidden_act", json!("relu"), "activation relu is not supported"),
        ("hidden_size", json!(0), "`hidden_size` has the value 0"),
        ("hidden_size", json!(u64::MAX), "`hidden_size` has the value 18446744073709551615"),
        ("hidden_size", json!(-1), "config.json"),
        ("hidden_size", json!(64), "its shape is [9, 32], not [9, 64]"),
        ("num_attention_heads", json!(5), "does not divide into heads"),
        ("num_hidden_layers", json!(257), "`num_hidden_layers` has the value 257"),
        ("num_hidden_layers", json!(3), "encoder.layer.2"),
        ("max_position_embeddings", json!(1 << 20), "`max_position_embeddings`"),
        ("max_position_embeddings", json!(63), "`max_seq_length` has the value 64"),
        ("vocab_size", json!(8), "has the number 8"),
        ("layer_norm_eps", json!(0), "`layer_norm_eps`"),
    ] {
        let folder = with("config.json", bert_folder::config(), &format!("/{key}"), value);
        refused(folder.path(), why);
    }
}

#[test]
fn another_tokenizer_is_refused_by_name() {
    for (pointer, value, why) in [
        ("/model/type", json!("BPE"), "tokenizer BPE is not supported"),
        ("/normalizer/type", json!("Replace"), "normaliser Replace is not supported"),
        ("/pre_tokenizer/type", json!("Split"), "pre-tokenisation Split is not supported"),
        ("/model/max_input_chars_per_word", json!(1001), "max_input_chars_per_word"),
        ("/model/vocab/a", json!(5), "has the number 5"),
        ("/model/vocab/a", json!(9), "has the number 9"),
        ("/model/vocab", json!({"[UNK]": 0, "[CLS]": 1}), "it has no piece \"[SEP]\""),
        ("/model/unk_token", json!("?"), "it has no piece \"?\""),
        ("/model/vocab", json!([]), "tokenizer.json"),
    ] {
        refused(with("tokenizer.json", bert_folder::tokenizer(), pointer, value).path(), why);
    }
}

#[test]
fn another_pooling_is_refused_by_name() {
    let pooling = json!({"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true, "word_embedding_dimension": 32});
    let folder = with("1_Pooling/config.json", pooling.clone(), "/pooling_mode_mean_tokens", json!(true));
    BertModel::load(folder.path()).expect("it is the mean");
    for pointer in ["/pooling_mode_cls_token", "/pooling_mode_mean_tokens"] {
        let other = json!(pointer == "/pooling_mode_cls_token");
        refused(with("1_Pooling/config.json", pooling.clone(), pointer, other).path(), "pooling");
    }
}

#[test]
fn missing_large_and_odd_files_are_refused() {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        bert_folder::write(folder.path());
        fs::remove_file(folder.path().join(name)).expect("it can be removed");
        refused(folder.path(), name);
        fs::create_dir(folder.path().join(name)).expect("a folder in its place");
        refused(folder.path(), name);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    bert_folder::write(folder.path());
    fs::write(folder.path().join("config.json"), vec![b' '; (64 << 10) + 1]).expect("it can be written");
    refused(folder.path(), "more than 65536 bytes");
}

#[test]
fn weights_cut_short_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    bert_folder::write(folder.path());
    let weights = bert_folder::weights();
    for length in (0..weights.len()).step_by(997) {
        fs::write(folder.path().join("model.safetensors"), &weights[..length]).expect("it can be written");
        refused(folder.path(), "model.safetensors");
    }
}
