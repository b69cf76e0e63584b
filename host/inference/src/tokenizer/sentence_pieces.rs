//! SentencePiece's BPE with scores and bytes to fall back on: `tokenizer.ggml.model` = `llama`.
//!
//! Two neighbours are joined where what they are together is a piece, the pair of the greatest score first and the
//! leftmost of equals, until none is left (Kudo and Richardson, arXiv:1808.06226). A character that is no piece becomes
//! its bytes. A space is written U+2581, and one is put in front of every text, as llama.cpp does it: of the first, and
//! of what follows a special token.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::{BYTE, CONTROL, UNKNOWN, USER_DEFINED, broken};
use crate::error::ModelError;
use crate::gguf::{Array, Header, Value};

/// What stands for a space in a piece.
const SPACE: char = '\u{2581}';
/// Longer pieces never come out of text: bounds the work on each character.
const PIECE_BYTES_MAX: usize = 512;

/// Pieces and what joins first.
#[derive(Debug)]
pub(super) struct SentencePieces {
    /// Of each piece that text can become: its token, and the rank of its score.
    pieces: HashMap<Box<str>, (u32, u32)>,
    /// Of each byte.
    bytes: Vec<u32>,
    longest_bytes: usize,
    space_in_front: bool,
}

/// A part of the text, linked to its neighbours; of no length where it was joined to the one before.
struct Part {
    start: usize,
    length: usize,
    before: Option<usize>,
    after: Option<usize>,
}

impl SentencePieces {
    /// Build it from the scores of the header.
    pub(super) fn from_gguf(header: &Header, tokens: &[String], types: &[i64]) -> Result<Self, ModelError> {
        let scores = match header.get("tokenizer.ggml.scores") {
            Some(Value::Array(Array::Real(scores))) if scores.len() == tokens.len() => scores,
            _ => return Err(broken("it has not one score for every token")),
        };
        if !scores.iter().all(|score| score.is_finite()) {
            return Err(broken("one of its scores is not a number"));
        }
        // Equal scores have equal ranks.
        let mut order: Vec<f64> = scores.iter().map(|score| score + 0.0).collect();
        order.sort_by(f64::total_cmp);
        order.dedup();
        let rank = |score: f64| order.partition_point(|other| *other < score) as u32;

        let mut pieces: HashMap<Box<str>, _> = HashMap::new();
        let mut bytes = vec![None; 256];
        for (((token, kind), score), id) in tokens.iter().zip(types).zip(scores).zip(0_u32..) {
            match *kind {
                BYTE => bytes[usize::from(byte(token)?)] = Some(id),
                CONTROL | UNKNOWN | USER_DEFINED => {}
                _ if token.is_empty() || token.len() > PIECE_BYTES_MAX => {}
                _ => {
                    pieces.entry(token.as_str().into()).or_insert((id, rank(*score)));
                }
            }
        }
        let bytes = bytes
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| broken("it has not a token for every byte"))?;
        let longest_bytes = pieces.keys().map(|piece| piece.len()).max().unwrap_or(0);
        let space_in_front =
            header.get("tokenizer.ggml.add_space_prefix").and_then(Value::as_bool).unwrap_or(true);
        Ok(Self { pieces, bytes, longest_bytes, space_in_front })
    }

    /// Encode a text in which nothing is a control token. The work grows as the text does, but for a logarithm.
    pub(super) fn encode(&self, text: &str, into: &mut Vec<u32>) {
        let mut written = String::with_capacity(text.len() * 2 + SPACE.len_utf8());
        written.extend(self.space_in_front.then_some(SPACE));
        written.extend(text.chars().map(|letter| if letter == ' ' { SPACE } else { letter }));
        for part in self.joined(&written) {
            let part = &written[part.start..part.start + part.length];
            match self.pieces.get(part) {
                Some((id, _)) => into.push(*id),
                None => into.extend(part.bytes().map(|byte| self.bytes[usize::from(byte)])),
            }
        }
    }

    /// The parts of a text that nothing more joins.
    fn joined(&self, text: &str) -> impl Iterator<Item = Part> {
        let count = text.chars().count();
        let mut parts: Vec<Part> = text
            .char_indices()
            .enumerate()
            .map(|(index, (start, letter))| Part {
                start,
                length: letter.len_utf8(),
                before: index.checked_sub(1),
                after: Some(index + 1).filter(|after| *after < count),
            })
            .collect();
        let mut queue: BinaryHeap<_> =
            (0..count).filter_map(|index| self.candidate(text, &parts, index)).collect();
        while let Some((_, Reverse(left), length)) = queue.pop() {
            // Candidates stay in the queue where one of the two was joined otherwise.
            let Some(right) = parts[left].after.filter(|_| parts[left].length > 0) else { continue };
            if parts[left].length + parts[right].length != length {
                continue;
            }
            parts[left].length = length;
            parts[left].after = parts[right].after;
            parts[right].length = 0;
            if let Some(after) = parts[left].after {
                parts[after].before = Some(left);
            }
            let before = parts[left].before.and_then(|before| self.candidate(text, &parts, before));
            queue.extend(before);
            queue.extend(self.candidate(text, &parts, left));
        }
        parts.into_iter().filter(|part| part.length > 0)
    }

    /// What a part and the one after it are together, if that is a piece: rank, place, length.
    fn candidate(&self, text: &str, parts: &[Part], left: usize) -> Option<(u32, Reverse<usize>, usize)> {
        let (part, after) = (&parts[left], &parts[parts[left].after?]);
        let length = part.length + after.length;
        if length > self.longest_bytes {
            return None;
        }
        let (_, rank) = self.pieces.get(&text[part.start..part.start + length])?;
        Some((*rank, Reverse(left), length))
    }
}

/// The bytes of every token that stands for text. A space in front is one of the text's own: where an answer begins
/// with it, it is given as the model said it.
pub(super) fn pieces(tokens: &[String], types: &[i64]) -> Result<Vec<Option<Box<[u8]>>>, ModelError> {
    let piece = |(token, kind): (&String, &i64)| {
        Ok(match *kind {
            CONTROL | UNKNOWN => None,
            USER_DEFINED => Some(token.as_bytes().into()),
            BYTE => Some([byte(token)?].into()),
            _ => Some(token.replace(SPACE, " ").into_bytes().into()),
        })
    };
    tokens.iter().zip(types).map(piece).collect()
}

/// The byte of a token such as `<0x0A>`.
fn byte(token: &str) -> Result<u8, ModelError> {
    token
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'))
        .filter(|digits| digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        .ok_or_else(|| broken(format!("token {token:?} is none of a byte")))
}
