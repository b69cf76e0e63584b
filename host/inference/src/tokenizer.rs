//! The tokenizer that a GGUF file carries: byte-level BPE as GPT-2 introduced it.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind};
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer as Pipeline};

use crate::error::ModelError;
use crate::gguf::Header;

/// `tokenizer.ggml.token_type` of a token that stands for structure, not for text.
const CONTROL: i64 = 3;
/// The type of a token that was added as a whole word.
const USER_DEFINED: i64 = 4;
/// Texts of tokens that end an answer, whichever of them the metadata calls `eos`.
const END_TEXTS: [&str; 5] = ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "</s>"];

/// How Llama 3 cuts a text into words, before words are bytes.
pub(crate) const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Text to token ids and back.
#[derive(Debug)]
pub struct Tokenizer {
    pipeline: Pipeline,
    /// The bytes of every token; `None` for control tokens, which have no text.
    pieces: Vec<Option<Box<[u8]>>>,
    whole_words: Option<AhoCorasick>,
    whole_word_ids: Vec<u32>,
    ends: Vec<u32>,
    begin: Option<u32>,
    bos: String,
    eos: String,
}

impl Tokenizer {
    /// Build the tokenizer from the `tokenizer.ggml.*` metadata.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for another kind of tokenizer or of pre-tokenisation (guessing would give wrong
    /// tokens silently); [`ModelError::Tokenizer`] where its parts contradict each other.
    pub fn from_gguf(header: &Header) -> Result<Self, ModelError> {
        let model = header.text("tokenizer.ggml.model")?;
        if model != "gpt2" {
            let found = model.to_owned();
            return Err(ModelError::Unsupported { what: "tokenizer", found, known: "gpt2 (byte-level BPE)" });
        }
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
        let adds_bos =
            header.get("tokenizer.ggml.add_bos_token").and_then(|value| value.as_bool()) == Some(true);

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
            pipeline: pipeline(header, tokens)?,
            pieces: pieces(tokens, types)?,
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
            Some(None) => self.pipeline.id_to_token(id).unwrap_or_default().into_bytes(),
            None => Vec::new(),
        }
    }

    /// The bytes that this token stands for: nothing for a control token or an id outside the vocabulary. They need
    /// not be whole characters.
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
        let encoding = self.pipeline.encode_fast(text, false).map_err(|error| broken(error.to_string()))?;
        into.extend_from_slice(encoding.get_ids());
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

fn pipeline(header: &Header, tokens: &[String]) -> Result<Pipeline, ModelError> {
    let merges = texts(header, "tokenizer.ggml.merges")?
        .iter()
        .map(|merge| {
            // A piece may itself begin with a space-like character, never with a space.
            merge.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned()))
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| broken("a merge is not two pieces with a space between them"))?;
    let ids: HashMap<String, u32> = tokens.iter().cloned().zip(0..).collect();
    let pre = header.text("tokenizer.ggml.pre")?;
    let is_llama_3 = matches!(pre, "llama-bpe" | "llama3" | "llama-v3");
    let bpe = BPE::builder()
        .vocab_and_merges(ids.into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges)
        // There a word that is a token whole is taken whole, whatever pieces would merge first.
        .ignore_merges(is_llama_3)
        .build()
        .map_err(|error| broken(error.to_string()))?;
    let mut pipeline = Pipeline::new(bpe);
    let byte_level = ByteLevel::new(false, true, true);
    let split: PreTokenizerWrapper = match pre {
        "smollm" => Sequence::new(vec![Digits::new(true).into(), byte_level.into()]).into(),
        "gpt-2" => byte_level.into(),
        _ if is_llama_3 => {
            let pattern = SplitPattern::Regex(LLAMA_3.to_owned());
            let words = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
                .map_err(|error| broken(error.to_string()))?;
            Sequence::new(vec![words.into(), byte_level.use_regex(false).into()]).into()
        }
        other => {
            return Err(ModelError::Unsupported {
                what: "pre-tokenisation",
                found: other.to_owned(),
                known: "gpt-2, smollm and llama-bpe",
            });
        }
    };
    pipeline.with_pre_tokenizer(Some(split));
    Ok(pipeline)
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

/// The bytes of every token that stands for text.
fn pieces(tokens: &[String], types: &[i64]) -> Result<Vec<Option<Box<[u8]>>>, ModelError> {
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
