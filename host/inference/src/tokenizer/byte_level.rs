//! Byte-level BPE, as GPT-2 introduced it: `tokenizer.ggml.model` = `gpt2`.

use std::collections::{HashMap, HashSet};

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer as Pipeline};

use super::{CONTROL, USER_DEFINED, broken, texts};
use crate::error::ModelError;
use crate::gguf::Header;

/// How Llama 3 splits text into words: the expression in its own `tokenizer.json`.
pub(crate) const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// How Mistral's Tekken does, likewise.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Splits text into words and words into tokens.
#[derive(Debug)]
pub(super) struct Words {
    pipeline: Pipeline,
    adds_bos: bool,
}

impl Words {
    /// Build it from the merges and the kind of pre-tokenisation that the header names.
    pub(super) fn from_gguf(header: &Header, tokens: &[String], types: &[i64]) -> Result<Self, ModelError> {
        let byte_level = ByteLevel::new(false, true, true);
        let (split, whole): (PreTokenizerWrapper, bool) = match header.text("tokenizer.ggml.pre")? {
            "smollm" => (Sequence::new(vec![Digits::new(true).into(), byte_level.into()]).into(), false),
            "gpt-2" => (byte_level.into(), false),
            "llama-bpe" | "llama3" | "llama-v3" => (split_by(LLAMA3)?, true),
            "tekken" => (split_by(TEKKEN)?, true),
            other => {
                return Err(ModelError::Unsupported {
                    what: "pre-tokenisation",
                    found: other.to_owned(),
                    known: "llama-bpe, tekken, smollm and gpt-2",
                });
            }
        };
        let bpe = bpe(header, tokens, types, whole)?;
        let mut pipeline = Pipeline::new(bpe);
        pipeline.with_pre_tokenizer(Some(split));
        Ok(Self { pipeline, adds_bos: whole })
    }

    /// Whether a prompt begins with the `bos` token where the metadata does not say.
    pub(super) fn adds_bos(&self) -> bool {
        self.adds_bos
    }

    /// Encode text in which nothing is a control token.
    pub(super) fn encode(&self, text: &str, into: &mut Vec<u32>) -> Result<(), ModelError> {
        let encoding = self.pipeline.encode_fast(text, false).map_err(|error| broken(error.to_string()))?;
        into.extend_from_slice(encoding.get_ids());
        Ok(())
    }
}

/// Split by an expression; what it leaves becomes bytes.
fn split_by(expression: &str) -> Result<PreTokenizerWrapper, ModelError> {
    let pattern = SplitPattern::Regex(expression.to_owned());
    let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
        .map_err(|error| broken(error.to_string()))?;
    Ok(Sequence::new(vec![split.into(), ByteLevel::new(false, true, false).into()]).into())
}

/// `whole`: a word that is a token is taken as that token, whatever the merges make of it. Control tokens are not
/// among what text can become.
fn bpe(header: &Header, tokens: &[String], types: &[i64], whole: bool) -> Result<BPE, ModelError> {
    let vocabulary: Vocab = tokens
        .iter()
        .zip(types)
        .zip(0..)
        .filter(|((_, kind), _)| **kind != CONTROL)
        .map(|((token, _), id)| (token.clone(), id))
        .collect();
    let control: HashSet<&str> = tokens
        .iter()
        .zip(types)
        .filter(|(token, kind)| **kind == CONTROL && !vocabulary.contains_key(*token))
        .map(|(token, _)| token.as_str())
        .collect();
    let mut merges = Vec::new();
    for merge in texts(header, "tokenizer.ggml.merges")? {
        // A piece may itself begin with a space-like character, never with a space.
        let Some((left, right)) = merge.split_once(' ') else {
            return Err(broken("a merge is not two pieces with a space between them"));
        };
        let joined = format!("{left}{right}");
        if [left, right, &joined].iter().any(|part| control.contains(part)) {
            continue;
        }
        // The crate panics where the whole is longer than every token.
        if !vocabulary.contains_key(&joined) {
            return Err(broken(format!("the merge {merge:?} makes no token")));
        }
        merges.push((left.to_owned(), right.to_owned()));
    }
    BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .ignore_merges(whole)
        .build()
        .map_err(|error| broken(error.to_string()))
}

/// The bytes of every token that stands for text.
pub(super) fn pieces(tokens: &[String], types: &[i64]) -> Result<Vec<Option<Box<[u8]>>>, ModelError> {
    let alphabet = Alphabet::new();
    tokens
        .iter()
        .zip(types)
        .map(|(token, kind)| match *kind {
            CONTROL => Ok(None),
            USER_DEFINED => Ok(Some(token.as_bytes().into())),
            _ => alphabet
                .bytes(token)
                .map(Some)
                .ok_or_else(|| broken(format!("token {token:?} is not in the byte-level alphabet"))),
        })
        .collect()
}

/// GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the others for U+0100 and up, in order.
pub(crate) struct Alphabet(HashMap<char, u8>);

impl Alphabet {
    pub(crate) fn new() -> Self {
        let printable = |byte: &u8| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
        let themselves = (0..=u8::MAX).filter(printable).map(|byte| (char::from(byte), byte));
        let moved = ('\u{100}'..).zip((0..=u8::MAX).filter(|byte| !printable(byte)));
        Self(themselves.chain(moved).collect())
    }

    /// The bytes that a token's letters stand for; none where one of them is not of the alphabet.
    pub(crate) fn bytes(&self, token: &str) -> Option<Box<[u8]>> {
        token.chars().map(|letter| self.0.get(&letter).copied()).collect()
    }
}
