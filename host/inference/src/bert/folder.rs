//! The files of a sentence encoder, each read under a bound.

use std::path::Path;

use serde::Deserialize;

use super::word_pieces::MARKS;
use crate::error::ModelError;
use crate::folder::{parse, read, read_where_there};

/// The weights.
pub(super) const WEIGHTS: &str = "model.safetensors";
const CONFIG_BYTES_MAX: u64 = 64 << 10;
/// Room for a vocabulary of a million pieces.
const TOKENIZER_BYTES_MAX: u64 = 64 << 20;

/// What sentence-transformers says of its encoder.
#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
}

pub(super) fn read_config(folder: &Path) -> Result<Vec<u8>, ModelError> {
    read(&folder.join("config.json"), CONFIG_BYTES_MAX)
}

pub(super) fn read_tokenizer(folder: &Path) -> Result<Vec<u8>, ModelError> {
    read(&folder.join("tokenizer.json"), TOKENIZER_BYTES_MAX)
}

/// Tokens of one text: what the folder says, or every position.
pub(super) fn tokens_max(folder: &Path, positions: usize) -> Result<usize, ModelError> {
    const NAME: &str = "sentence_bert_config.json";
    let Some(text) = read_where_there(&folder.join(NAME), CONFIG_BYTES_MAX)? else {
        return checked(positions, positions);
    };
    let config: SentenceConfig = parse(NAME, &text)?;
    checked(config.max_seq_length.unwrap_or(positions), positions)
}

fn checked(tokens: usize, positions: usize) -> Result<usize, ModelError> {
    if (MARKS + 1..=positions).contains(&tokens) {
        return Ok(tokens);
    }
    let reason = format!("it is not from {} to the model's {positions} positions", MARKS + 1);
    Err(ModelError::BadMetadata { key: "max_seq_length".to_owned(), found: tokens.to_string(), reason })
}

/// Refuse a folder whose vectors are made otherwise than by the mean over tokens.
pub(super) fn check_pooling(folder: &Path) -> Result<(), ModelError> {
    const NAME: &str = "1_Pooling/config.json";
    let Some(text) = read_where_there(&folder.join(NAME), CONFIG_BYTES_MAX)? else { return Ok(()) };
    let config: serde_json::Map<String, serde_json::Value> = parse(NAME, &text)?;
    let mut modes: Vec<&str> = config
        .iter()
        .filter(|(name, value)| name.starts_with("pooling_mode_") && value.as_bool() == Some(true))
        .map(|(name, _)| name.as_str())
        .collect();
    modes.sort_unstable();
    if modes == ["pooling_mode_mean_tokens"] {
        return Ok(());
    }
    let found = modes.join(", ").chars().take(256).collect();
    Err(ModelError::Unsupported { what: "pooling", found, known: "pooling_mode_mean_tokens" })
}
