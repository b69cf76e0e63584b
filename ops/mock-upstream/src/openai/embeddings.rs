//! `POST /v1/embeddings`.

use std::sync::Arc;

use axum::Extension;
use serde_json::{Value, json};

use super::{invalid, missing, required_model};
use crate::answer;
use crate::call::Call;
use crate::reply::{Answer, Reply};

/// Most inputs of one request, as the API bounds them.
const INPUTS_MAX: usize = 2048;
const DIMENSIONS_MAX: u64 = 4096;

pub(super) async fn create(Extension(call): Extension<Arc<Call>>) -> Answer {
    let model = required_model(&call)?;
    let inputs = inputs(&call.json["input"]).ok_or_else(|| missing("input"))?;
    if inputs.is_empty() || inputs.len() > INPUTS_MAX {
        return Err(invalid("Invalid 'input': use 1 to 2048 inputs.", "input", "invalid_value"));
    }
    let natural = if model.contains("3-large") { 3072 } else { 1536 };
    let dimensions = call.number_of("dimensions").unwrap_or(natural);
    if !(1..=DIMENSIONS_MAX).contains(&dimensions) {
        return Err(invalid("Invalid 'dimensions': use 1 to 4096.", "dimensions", "invalid_value"));
    }
    let packed = match call.text("encoding_format") {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => {
            let message = "Invalid 'encoding_format': use 'float' or 'base64'.";
            return Err(invalid(message, "encoding_format", "invalid_value"));
        }
    };
    let embed = |(index, text): (usize, &String)| {
        let vector = answer::embedding(text, dimensions as usize);
        let embedding = if packed { json!(base64(&vector)) } else { json!(vector) };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let tokens: usize = inputs.iter().map(|text| text.split_whitespace().count()).sum();
    let data: Vec<Value> = inputs.iter().enumerate().map(embed).collect();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(Reply::json(&json!({"object": "list", "data": data, "model": model, "usage": usage})).charged())
}

/// A text, a list of texts, a list of tokens, or a list of lists of tokens.
fn inputs(input: &Value) -> Option<Vec<String>> {
    let tokens = |list: &Value| list.to_string().replace(',', " ");
    match input {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) if list.first().is_some_and(Value::is_number) => Some(vec![tokens(input)]),
        Value::Array(list) => {
            let one = |item: &Value| match item {
                Value::String(text) => Some(text.clone()),
                Value::Array(_) => Some(tokens(item)),
                _ => None,
            };
            list.iter().map(one).collect()
        }
        _ => None,
    }
}

/// Little-endian 32-bit floats in base64.
fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    answer::base64(&bytes)
}
