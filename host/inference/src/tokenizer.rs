//! The tokenizer that a GGUF file carries: byte-level BPE or SentencePiece's.

mod byte_level;
mod sentence_pieces;

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::error::ModelError;
use crate::gguf::Header;
use byte_level::Words;
pub(crate) use byte_level::{Alphabet, LLAMA3};
use sentence_pieces::SentencePieces;

/// `tokenizer.ggml.token_type` of the token for what no other stands for.
const UNKNOWN: i64 = 2;
/// The type of a token that stands for structure, not for text.
const CONTROL: i64 = 3;
/// The type of a token that was added as a whole word.
const USER_DEFINED: i64 = 4;
/// The type of a token that is a single byte.
const BYTE: i64 = 6;
/// Texts of tokens that end an answer, whichever of them the metadata calls `eos`.
const END_TEXTS: [&str; 6] =
    ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "</s>"];

/// Text to token ids and back.
#[derive(Debug)]
pub struct Tokenizer {
    kind: Kind,
    /// The bytes of every token; `None` for control tokens, which have no text.
    pieces: Vec<Option<Box<[u8]>>>,
    /// What those are called that have no text.
    names: HashMap<u32, Box<str>>,
    whole_words: Option<AhoCorasick>,
    whole_word_ids: Vec<u32>,
    ends: Vec<u32>,
    begin: Option<u32>,
    bos: String,
    eos: String,
}

/// How text becomes tokens.
#[derive(Debug)]
enum Kind {
    ByteLevel(Box<Words>),
    SentencePieces(SentencePieces),
}

impl Tokenizer {
    /// Build the tokenizer from the `tokenizer.ggml.*` metadata.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for another kind of tokenizer or of pre-tokenisation (guessing would give wrong
    /// tokens silently); [`ModelError::Tokenizer`] where its parts contradict each other.
    pub fn from_gguf(header: &Header) -> Result<Self, ModelError> {
        let tokens = texts(header, "tokenizer.ggml.tokens")?;
        let types = header
            .get("tokenizer.ggml.token_type")
            .and_then(|value| value.as_wholes())
            .filter(|types| types.len() == tokens.len())
            .ok_or_else(|| broken("it has not one token type for every token"))?;
        let id = |key: &str| {
            header
                .get(key)
                .and_then(|value| value.as_u64())
                .filter(|id| *id < tokens.len() as u64)
                .map(|id| id as u32)
        };
        let eos = id("tokenizer.ggml.eos_token_id").ok_or_else(|| broken("it names no end token"))?;
        let bos = id("tokenizer.ggml.bos_token_id");
        let (kind, pieces, adds_bos) = kind(header, tokens, types)?;
        let adds_bos =
            header.get("tokenizer.ggml.add_bos_token").and_then(|value| value.as_bool()).unwrap_or(adds_bos);
        let names = pieces
            .iter()
            .zip(tokens)
            .zip(0..)
            .filter(|((piece, _), _)| piece.is_none())
            .map(|((_, token), id)| (id, token.as_str().into()))
            .collect();

        let ends = tokens
            .iter()
            .zip(types)
            .zip(0..)
            .filter(|((text, kind), id)| {
                *id == eos || (**kind == CONTROL && END_TEXTS.contains(&text.as_str()))
            })
            .map(|(_, id)| id)
            .collect();
        let whole_word_ids: Vec<u32> = types
            .iter()
            .zip(0..)
            .filter(|(kind, id): &(&i64, u32)| {
                matches!(**kind, CONTROL | USER_DEFINED) && !tokens[*id as usize].is_empty()
            })
            .map(|(_, id)| id)
            .collect();
        let text_of = |id: Option<u32>| id.map(|id| tokens[id as usize].clone()).unwrap_or_default();
        Ok(Self {
            kind,
            pieces,
            names,
            whole_words: whole_words(tokens, &whole_word_ids)?,
            whole_word_ids,
            ends,
            begin: bos.filter(|_| adds_bos),
            bos: text_of(bos),
            eos: text_of(Some(eos)),
        })
    }

    /// Number of tokens in the vocabulary.
    pub fn vocabulary_len(&self) -> usize {
        self.pieces.len()
    }

    /// The text of the token that begins a prompt, or nothing.
    pub fn bos(&self) -> &str {
        &self.bos
    }

    /// The text of the token that ends a turn.
    pub fn eos(&self) -> &str {
        &self.eos
    }

    /// Whether this token ends the answer.
    pub fn is_end(&self, id: u32) -> bool {
        self.ends.contains(&id)
    }

    /// The tokens that end an answer; at least one.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// What to call this token where tokens themselves are told of: its bytes, or a control token's name; nothing for an id outside the
    /// vocabulary.
    pub fn label(&self, id: u32) -> Vec<u8> {
        match self.pieces.get(id as usize) {
            Some(Some(piece)) => piece.to_vec(),
            Some(None) => self.names.get(&id).map(|name| name.as_bytes().to_vec()).unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// The bytes that this token stands for: nothing for a control token or an id outside the vocabulary. They need
    /// not be whole characters. A space in front is the token's own, at the start of an answer too.
    pub fn piece(&self, id: u32) -> &[u8] {
        self.pieces.get(id as usize).and_then(Option::as_deref).unwrap_or_default()
    }

    /// Whether `text` contains the text of a control token.
    pub fn has_control_text(&self, text: &str) -> bool {
        self.whole_words.as_ref().is_some_and(|words| words.is_match(text))
    }

    /// Encode text in which nothing is a control token, whatever it looks like.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`] where the vocabulary lacks a byte.
    pub fn encode_plain(&self, text: &str, into: &mut Vec<u32>) -> Result<(), ModelError> {
        if text.is_empty() {
            return Ok(());
        }
        match &self.kind {
            Kind::ByteLevel(words) => words.encode(text, into)?,
            Kind::SentencePieces(pieces) => pieces.encode(text, into),
        }
        Ok(())
    }

    /// Encode a rendered prompt. Control tokens in it are recognised, except where `guard` breaks them up; `guard`
    /// itself is removed.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_plain`].
    pub fn encode_prompt(&self, prompt: &str, guard: Option<char>) -> Result<Vec<u32>, ModelError> {
        let mut ids: Vec<u32> = Vec::new();
        let plain = |text: &str, ids: &mut Vec<u32>| match guard {
            Some(guard) if text.contains(guard) => self.encode_plain(&text.replace(guard, ""), ids),
            _ => self.encode_plain(text, ids),
        };
        let mut done = 0;
        if let Some(words) = &self.whole_words {
            for found in words.find_iter(prompt) {
                plain(&prompt[done..found.start()], &mut ids)?;
                ids.push(self.whole_word_ids[found.pattern().as_usize()]);
                done = found.end();
            }
        }
        plain(&prompt[done..], &mut ids)?;
        if let Some(begin) = self.begin.filter(|begin| ids.first() != Some(begin)) {
            ids.insert(0, begin);
        }
        Ok(ids)
    }
}

fn broken(reason: impl Into<String>) -> ModelError {
    ModelError::Tokenizer { reason: reason.into() }
}

fn texts<'h>(header: &'h Header, key: &str) -> Result<&'h [String], ModelError> {
    header
        .get(key)
        .and_then(|value| value.as_texts())
        .ok_or_else(|| ModelError::MissingMetadata { key: key.to_owned() })
}

/// How text becomes tokens, what bytes they have, and whether a prompt begins with `bos` unless the file says otherwise.
type Made = (Kind, Vec<Option<Box<[u8]>>>, bool);

fn kind(header: &Header, tokens: &[String], types: &[i64]) -> Result<Made, ModelError> {
    match header.text("tokenizer.ggml.model")? {
        "gpt2" => {
            let words = Words::from_gguf(header, tokens, types)?;
            let adds_bos = words.adds_bos();
            Ok((Kind::ByteLevel(Box::new(words)), byte_level::pieces(tokens, types)?, adds_bos))
        }
        "llama" => {
            let pieces = SentencePieces::from_gguf(header, tokens, types)?;
            Ok((Kind::SentencePieces(pieces), sentence_pieces::pieces(tokens, types)?, true))
        }
        other => Err(ModelError::Unsupported {
            what: "tokenizer",
            found: other.to_owned(),
            known: "gpt2 (byte-level BPE) and llama (SentencePiece BPE)",
        }),
    }
}

fn whole_words(tokens: &[String], ids: &[u32]) -> Result<Option<AhoCorasick>, ModelError> {
    if ids.is_empty() {
        return Ok(None);
    }
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(ids.iter().map(|id| &tokens[*id as usize]))
        .map(Some)
        .map_err(|error| broken(error.to_string()))
}
