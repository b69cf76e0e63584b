//! BERT's tokenizer: words split into the longest pieces of a vocabulary, from a `tokenizer.json`.
//!
//! The file's format is that of Hugging Face's tokenizers. It is read part by part, and only the parts that BERT has are
//! known: no pattern or program in a model's file is ever run.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use tokenizers::Tokenizer as Pipeline;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

use crate::error::ModelError;

/// What begins and what ends every text.
const BEGIN: &str = "[CLS]";
const END: &str = "[SEP]";
/// Tokens that every text has beside its own.
pub const MARKS: usize = 2;
/// A word longer than this is unknown; BERT's own value is 100.
const WORD_CHARS_MAX: usize = 1000;
/// Bytes after which a text is cut at the next end of a word, to be encoded part by part.
const PART_BYTES_MIN: usize = 4096;

#[derive(Deserialize)]
struct File {
    normalizer: Normalizer,
    pre_tokenizer: PreTokenizer,
    model: Model,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Normalizer {
    r#type: String,
    clean_text: bool,
    handle_chinese_chars: bool,
    strip_accents: Option<bool>,
    lowercase: bool,
}

#[derive(Deserialize)]
struct PreTokenizer {
    r#type: String,
}

#[derive(Deserialize)]
struct Model {
    r#type: String,
    unk_token: String,
    continuing_subword_prefix: String,
    max_input_chars_per_word: usize,
    vocab: HashMap<String, u32>,
}

/// Turns texts into tokens.
#[derive(Debug)]
pub struct WordPieces {
    pipeline: Pipeline,
    begin: u32,
    end: u32,
    vocabulary: usize,
}

impl WordPieces {
    /// Read a `tokenizer.json` for a model whose vocabulary has this many tokens.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`] where the file is broken, [`ModelError::Unsupported`] where it is another kind.
    pub fn from_json(text: &[u8], vocabulary: usize) -> Result<Self, ModelError> {
        let File { normalizer, pre_tokenizer, model } =
            serde_json::from_slice(text).map_err(|error| broken(format!("tokenizer.json: {error}")))?;
        for (what, found, known) in [
            ("normaliser", &normalizer.r#type, "BertNormalizer"),
            ("pre-tokenisation", &pre_tokenizer.r#type, "BertPreTokenizer"),
            ("tokenizer", &model.r#type, "WordPiece"),
        ] {
            if found != known {
                let found = found.chars().take(64).collect();
                return Err(ModelError::Unsupported { what, found, known });
            }
        }
        if model.max_input_chars_per_word > WORD_CHARS_MAX {
            return Err(broken(format!("max_input_chars_per_word is above {WORD_CHARS_MAX}")));
        }
        let mut ids = HashSet::with_capacity(model.vocab.len());
        for (piece, id) in &model.vocab {
            if *id as usize >= vocabulary || !ids.insert(*id) {
                let why = "that another has, or that the model has no embedding for";
                return Err(broken(format!("piece {piece:?} has the number {id}, {why}")));
            }
        }
        let id = |token: &str| {
            model.vocab.get(token).copied().ok_or_else(|| broken(format!("it has no piece {token:?}")))
        };
        let (begin, end) = (id(BEGIN)?, id(END)?);
        id(&model.unk_token)?;
        let pieces = WordPiece::builder()
            .vocab(model.vocab.into_iter().collect::<tokenizers::models::bpe::Vocab>())
            .unk_token(model.unk_token)
            .continuing_subword_prefix(model.continuing_subword_prefix)
            .max_input_chars_per_word(model.max_input_chars_per_word)
            .build()
            .map_err(|error| broken(error.to_string()))?;
        let mut pipeline = Pipeline::new(pieces);
        let Normalizer { clean_text, handle_chinese_chars, strip_accents, lowercase, .. } = normalizer;
        let normalizer = BertNormalizer::new(clean_text, handle_chinese_chars, strip_accents, lowercase);
        pipeline.with_normalizer(Some(normalizer)).map_err(|error| broken(error.to_string()))?;
        pipeline.with_pre_tokenizer(Some(BertPreTokenizer));
        Ok(Self { pipeline, begin, end, vocabulary })
    }

    /// A text's tokens between the marks that begin and end it; not all of them once there are more than `tokens_max`.
    /// Nothing in the text is taken for a mark, whatever it looks like.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`] where it cannot be encoded.
    pub fn encode(&self, text: &str, tokens_max: usize) -> Result<Vec<u32>, ModelError> {
        let mut ids = vec![self.begin];
        for part in parts(text) {
            let encoding =
                self.pipeline.encode_fast(part, false).map_err(|error| broken(error.to_string()))?;
            ids.extend_from_slice(encoding.get_ids());
            if ids.len() >= tokens_max {
                break;
            }
        }
        ids.push(self.end);
        Ok(ids)
    }

    /// Tokens that a caller made, between the marks unless they bring both; nothing where the model does not know one.
    pub fn marked(&self, mut ids: Vec<u32>) -> Option<Vec<u32>> {
        if ids.iter().any(|id| *id as usize >= self.vocabulary) {
            return None;
        }
        let has_marks =
            ids.len() >= MARKS && ids.first() == Some(&self.begin) && ids.last() == Some(&self.end);
        if !has_marks {
            ids.insert(0, self.begin);
            ids.push(self.end);
        }
        Some(ids)
    }

    /// Cut to `tokens_max`, which is at least [`MARKS`], keeping the marks.
    pub fn cut(&self, ids: &mut Vec<u32>, tokens_max: usize) {
        if ids.len() > tokens_max {
            ids.truncate(tokens_max - 1);
            ids.push(self.end);
        }
    }
}

/// A text in parts that encode as the whole does: words end at white space and at punctuation, and nothing is composed across
/// them. What encoding takes, many times the text, is then that of a part.
fn parts(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let ends_word = |c: char| c.is_whitespace() || c.is_ascii_punctuation();
        let is_cut = |(at, c): &(usize, char)| *at >= PART_BYTES_MIN && ends_word(*c);
        let end = text.char_indices().find(is_cut).map_or(text.len(), |(at, _)| at);
        let (part, rest) = text.split_at(end);
        text = rest;
        (!part.is_empty()).then_some(part)
    })
}

fn broken(reason: impl Into<String>) -> ModelError {
    ModelError::Tokenizer { reason: reason.into() }
}
