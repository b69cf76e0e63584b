//! Tokens of speech models: pieces of text, marks, and times.

use std::collections::HashMap;

use serde::Deserialize;
use tokenizers::Tokenizer as Pipeline;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::error::ModelError;
use crate::folder::parse;
use crate::tokenizer::Alphabet;

/// Seconds between two neighbouring times that have tokens.
pub const SECONDS_PER_TIME: f64 = 0.02;

/// The parts of a `tokenizer.json` that are read; the kind of text splitting is that of GPT-2, which all these models share.
#[derive(Deserialize)]
struct File {
    model: Model,
    added_tokens: Vec<Added>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Text(String),
    Pair(String, String),
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
}

/// The marks that the decoder reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) end: u32,
    pub(super) start: u32,
    /// What follows was said before this window.
    pub(super) previous: u32,
    pub(super) no_speech: u32,
    pub(super) no_times: u32,
    /// 0 s; those behind it count up to the window's end.
    pub(super) first_time: u32,
}

/// The vocabulary.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pipeline: Pipeline,
    /// The bytes of every token of text.
    pieces: Vec<Box<[u8]>>,
    pub(super) marks: Marks,
    /// All tokens, times included.
    len: usize,
}

impl Vocabulary {
    /// Of `len` tokens, from `tokenizer.json`.
    pub(super) fn from_json(text: &[u8], len: usize) -> Result<Self, ModelError> {
        let File { model, added_tokens } = parse("tokenizer.json", text)?;
        if let Some(kind) = model.kind.filter(|kind| kind != "BPE") {
            return Err(ModelError::Unsupported { what: "tokenizer", found: kind, known: "BPE" });
        }
        let mark = |names: &[&str]| {
            let found = added_tokens.iter().find(|token| names.contains(&token.content.as_str()));
            found
                .map(|token| token.id)
                .filter(|id| (*id as usize) < len)
                .ok_or_else(|| broken(format!("it has no token {}", names[0])))
        };
        let no_times = mark(&["<|notimestamps|>"])?;
        let marks = Marks {
            end: mark(&["<|endoftext|>"])?,
            start: mark(&["<|startoftranscript|>"])?,
            previous: mark(&["<|startofprev|>"])?,
            no_speech: mark(&["<|nospeech|>", "<|nocaptions|>"])?,
            no_times,
            first_time: no_times + 1,
        };
        let lowest = [marks.start, marks.previous, marks.no_speech, marks.no_times].into_iter().min();
        if lowest.is_none_or(|lowest| lowest <= marks.end) || marks.first_time as usize >= len {
            return Err(broken("its marks do not lie behind its text"));
        }
        let pieces = pieces(&model.vocab, marks.end)?;
        let merges = model.merges.into_iter().map(|merge| match merge {
            Merge::Pair(left, right) => Ok((left, right)),
            Merge::Text(text) => text
                .split_once(' ')
                .map(|(left, right)| (left.to_owned(), right.to_owned()))
                .ok_or_else(|| broken("a merge is not two pieces with a space between them")),
        });
        let bpe = BPE::builder()
            .vocab_and_merges(
                model.vocab.into_iter().collect::<Vocab>(),
                merges.collect::<Result<Vec<_>, _>>()?,
            )
            .build()
            .map_err(|error| broken(error.to_string()))?;
        let mut pipeline = Pipeline::new(bpe);
        pipeline.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
        Ok(Self { pipeline, pieces, marks, len })
    }

    /// Tokens of text in which nothing is a mark, whatever it looks like.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        let encoding = self.pipeline.encode_fast(text, false).map_err(|error| broken(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// All tokens, times included.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_text(&self, token: u32) -> bool {
        token < self.marks.end
    }

    pub(super) fn is_time(&self, token: u32) -> bool {
        token >= self.marks.first_time
    }

    /// The bytes of a token of text, which need not be whole characters; nothing for a mark.
    pub(super) fn piece(&self, token: u32) -> &[u8] {
        self.pieces.get(token as usize).map(AsRef::as_ref).unwrap_or_default()
    }

    /// The bytes of the text in `tokens`.
    pub(super) fn bytes(&self, tokens: &[u32]) -> Vec<u8> {
        tokens.iter().flat_map(|token| self.piece(*token)).copied().collect()
    }

    /// The text in `tokens`; bytes that are no character are replaced.
    pub(super) fn text(&self, tokens: &[u32]) -> String {
        String::from_utf8_lossy(&self.bytes(tokens)).into_owned()
    }
}

/// The bytes of tokens below `end`, each of which must be there.
fn pieces(vocabulary: &HashMap<String, u32>, end: u32) -> Result<Vec<Box<[u8]>>, ModelError> {
    let alphabet = Alphabet::new();
    let mut pieces: Vec<Option<Box<[u8]>>> = vec![None; end as usize];
    for (text, id) in vocabulary {
        if let Some(piece) = pieces.get_mut(*id as usize) {
            let bytes = alphabet.bytes(text);
            *piece = Some(
                bytes.ok_or_else(|| broken(format!("token {text:?} is not in the byte-level alphabet")))?,
            );
        }
    }
    let all: Option<Vec<_>> = pieces.into_iter().collect();
    all.ok_or_else(|| broken("its tokens of text are not numbered from 0 on"))
}

fn broken(reason: impl Into<String>) -> ModelError {
    ModelError::Tokenizer { reason: reason.into() }
}
