//! `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja`: byte-level BPE, as the metadata that GGUF has of it.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::error::ModelError;
use crate::folder;
use crate::gguf::{Array, Value};
use crate::tokenizer::LLAMA3;

/// Room for a vocabulary of a million tokens.
const TOKENIZER_BYTES_MAX: u64 = 64 << 20;
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Types of tokens, as GGUF counts them.
const NORMAL: i64 = 1;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const UNUSED: i64 = 5;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    normalizer: Option<Json>,
    pre_tokenizer: Option<Json>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: usize,
    content: String,
    special: bool,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: HashMap<String, usize>,
    merges: Vec<Merge>,
    #[serde(default)]
    byte_fallback: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Line(String),
}

#[derive(Deserialize)]
struct Config {
    bos_token: Option<Token>,
    eos_token: Option<Token>,
    add_bos_token: Option<bool>,
    chat_template: Option<Template>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Added { content: String },
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Added { content: text } => text,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Template {
    One(String),
    Several(Vec<Named>),
}

#[derive(Deserialize)]
struct Named {
    name: String,
    template: String,
}

/// Add what the folder says of its words. `vocabulary` is how many the model has scores for; those that nobody names are unused.
pub(super) fn read(
    folder: &Path,
    vocabulary: usize,
    metadata: &mut HashMap<String, Value>,
) -> Result<(), ModelError> {
    let text = folder::read(&folder.join("tokenizer.json"), TOKENIZER_BYTES_MAX)?;
    let file: File = folder::parse("tokenizer.json", &text)?;
    drop(text);
    let pre = cutting(&file)?;
    let Model { vocab, merges, .. } = file.model;
    let (tokens, types) = tokens(vocab, &file.added_tokens, vocabulary)?;
    let text = folder::read(&folder.join("tokenizer_config.json"), CONFIG_BYTES_MAX)?;
    let config: Config = folder::parse("tokenizer_config.json", &text)?;
    let id = |token: &Option<Token>| {
        let text = token.as_ref()?.text();
        tokens.iter().position(|token| token == text).map(|id| Value::Unsigned(id as u64))
    };
    let ids = [("bos", id(&config.bos_token)), ("eos", id(&config.eos_token))];
    let mut put = |key: &str, value| metadata.insert(format!("tokenizer.{key}"), value);
    for (name, id) in ids {
        id.map(|id| put(&format!("ggml.{name}_token_id"), id));
    }
    put("ggml.model", Value::Text("gpt2".to_owned()));
    put("ggml.pre", Value::Text(pre.to_owned()));
    if let Some(adds) = config.add_bos_token {
        put("ggml.add_bos_token", Value::Bool(adds));
    }
    put("ggml.tokens", Value::Array(Array::Text(tokens)));
    put("ggml.token_type", Value::Array(Array::Whole(types)));
    put("ggml.merges", Value::Array(Array::Text(lines(merges)?)));
    if let Some(template) = template(folder, config.chat_template)? {
        put("chat_template", Value::Text(template));
    }
    Ok(())
}

/// How texts are cut into words before they are merged, by GGUF's name for it.
fn cutting(file: &File) -> Result<&'static str, ModelError> {
    let kind = file.model.kind.as_deref().unwrap_or("BPE");
    if kind != "BPE" || file.model.byte_fallback {
        let found = if kind == "BPE" { "BPE of characters with bytes beside them" } else { kind };
        let found = found.chars().take(64).collect();
        return Err(ModelError::Unsupported { what: "tokenizer", found, known: "byte-level BPE" });
    }
    if let Some(normalizer) = file.normalizer.as_ref().filter(|normalizer| !normalizer.is_null()) {
        return Err(unsupported("normalizer", normalizer, "none"));
    }
    let pre = file.pre_tokenizer.clone().unwrap_or(Json::Null);
    let parts = match pre["type"].as_str() {
        Some("Sequence") => pre["pretokenizers"].as_array().cloned().unwrap_or_default(),
        _ => vec![pre.clone()],
    };
    let is_bytes = |part: &Json, cuts: bool| {
        part["type"] == "ByteLevel"
            && part["add_prefix_space"] == false
            && part["use_regex"].as_bool().unwrap_or(true) == cuts
    };
    match &parts[..] {
        [bytes] if is_bytes(bytes, true) => Ok("gpt-2"),
        [digits, bytes]
            if digits["type"] == "Digits" && digits["individual_digits"] == true && is_bytes(bytes, true) =>
        {
            Ok("smollm")
        }
        [split, bytes]
            if split["type"] == "Split"
                && split["pattern"]["Regex"] == LLAMA3
                && split["behavior"] == "Isolated"
                && split["invert"] == false
                && is_bytes(bytes, false) =>
        {
            Ok("llama-bpe")
        }
        _ => Err(unsupported("pre-tokenisation", &pre, "those of GPT-2, SmolLM and Llama 3")),
    }
}

fn unsupported(what: &'static str, found: &Json, known: &'static str) -> ModelError {
    ModelError::Unsupported { what, found: found.to_string().chars().take(200).collect(), known }
}

/// Every token's text and type, by its number.
fn tokens(
    vocab: HashMap<String, usize>,
    added: &[Added],
    vocabulary: usize,
) -> Result<(Vec<String>, Vec<i64>), ModelError> {
    let broken = |reason: String| ModelError::Tokenizer { reason };
    let mut tokens: Vec<Option<(String, i64)>> = vec![None; vocabulary];
    let own = vocab.into_iter().map(|(text, id)| (id, text, NORMAL));
    let added = added
        .iter()
        .map(|added| (added.id, added.content.clone(), if added.special { CONTROL } else { USER_DEFINED }));
    for (id, text, kind) in own.chain(added) {
        let place = tokens.get_mut(id).ok_or_else(|| {
            broken(format!("token {id} is beyond the {vocabulary} that the model has scores for"))
        })?;
        match place {
            // What was added may be among the others too.
            Some((known, _)) if *known != text => {
                return Err(broken(format!("there are two tokens of the number {id}")));
            }
            _ => *place = Some((text, kind)),
        }
    }
    let unused = |(id, token): (usize, Option<(String, i64)>)| {
        token.unwrap_or_else(|| (format!("[unused{id}]"), UNUSED))
    };
    Ok(tokens.into_iter().enumerate().map(unused).unzip())
}

fn lines(merges: Vec<Merge>) -> Result<Vec<String>, ModelError> {
    let line = |merge| match merge {
        Merge::Line(line) => Ok(line),
        Merge::Pair(left, right) if !left.contains(' ') && !right.contains(' ') => {
            Ok(format!("{left} {right}"))
        }
        Merge::Pair(..) => {
            Err(ModelError::Tokenizer { reason: "a merged piece has a space in it".to_owned() })
        }
    };
    merges.into_iter().map(line).collect()
}

fn template(folder: &Path, template: Option<Template>) -> Result<Option<String>, ModelError> {
    let path = folder.join("chat_template.jinja");
    if let Some(text) = folder::read_where_there(&path, CONFIG_BYTES_MAX)? {
        let reason = || "chat_template.jinja is no UTF-8".to_owned();
        return String::from_utf8(text).map(Some).map_err(|_| ModelError::Template { reason: reason() });
    }
    Ok(match template {
        None => None,
        Some(Template::One(text)) => Some(text),
        Some(Template::Several(named)) => {
            named.into_iter().find(|named| named.name == "default").map(|named| named.template)
        }
    })
}
