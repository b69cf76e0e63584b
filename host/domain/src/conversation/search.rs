//! Full-text search: what a word is, and how two are the same.
//!
//! Words are those of Unicode text segmentation (UAX #29). They are compared in lower case, in their compatibility decomposition
//! (NFKD, UAX #15) without marks, so that `Café` is found by `cafe`.

use std::collections::BTreeMap;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation as _;

use super::{Conversation, StoredMessage};
use crate::time::Timestamp;

/// Bytes of a word as it is compared; what is longer is cut.
pub const WORD_BYTES_MAX: usize = 64;
/// Different words of one text that are found; those that come later in it are not.
pub const WORDS_MAX: usize = 1_024;
/// Words of one query.
pub const TERMS_MAX: usize = 8;

/// Documents looked at for each word of a query, the newest first.
pub const POSTINGS_MAX: usize = 10_000;

const DAY_MS: f64 = 86_400_000.0;
/// After so many days the time of a text counts half.
const HALF_LIFE_DAYS: f64 = 90.0;
/// BM25's usual constants (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009).
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// The words of a text: where each stands, and how it is compared.
pub fn words(text: &str) -> impl Iterator<Item = (Range<usize>, String)> {
    text.unicode_word_indices().filter_map(|(start, word)| {
        let folded = fold(word);
        (!folded.is_empty()).then(|| (start..start + word.len(), folded))
    })
}

fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    let characters = word.chars().flat_map(char::to_lowercase).nfkd();
    for character in characters.filter(|character| !is_combining_mark(*character)) {
        if folded.len() + character.len_utf8() > WORD_BYTES_MAX {
            break;
        }
        folded.push(character);
    }
    folded
}

/// The words of a text with how often each is there, and how many words there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    pub counts: BTreeMap<String, u8>,
    /// Of all words, those that come again included.
    pub length: u16,
}

impl Words {
    /// Those of a text.
    pub fn of(text: &str) -> Self {
        let mut all = Self::default();
        for (_, word) in words(text) {
            if all.counts.len() >= WORDS_MAX && !all.counts.contains_key(&word) {
                continue;
            }
            all.length = all.length.saturating_add(1);
            let count = all.counts.entry(word).or_default();
            *count = count.saturating_add(1);
        }
        all
    }
}

/// A word that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    pub word: String,
    /// Words that begin with it are found as well: it is still being typed.
    pub is_prefix: bool,
}

impl Term {
    /// Whether a folded word is one that is looked for.
    pub fn matches(&self, folded: &str) -> bool {
        if self.is_prefix { folded.starts_with(&self.word) } else { folded == self.word }
    }
}

/// What is looked for: texts that have all of these words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub terms: Vec<Term>,
}

impl Query {
    /// The words of a text; the last one may be unfinished unless something follows it. `None`: it has no words, or too many.
    pub fn parse(text: &str) -> Option<Self> {
        let mut terms: Vec<Term> = Vec::new();
        for (at, word) in words(text) {
            let term = Term { word, is_prefix: at.end == text.len() };
            if !terms.contains(&term) {
                terms.push(term);
            }
        }
        (1..=TERMS_MAX).contains(&terms.len()).then_some(Self { terms })
    }
}

/// A text that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub conversation: Conversation,
    /// Absent where its title was found.
    pub message: Option<StoredMessage>,
    pub score: f64,
}

/// What a search found, the best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    pub hits: Vec<Hit>,
    /// A word is in more texts than are looked at: only the newest were.
    pub is_partial: bool,
}

/// How common a word is among an owner's texts.
#[derive(Clone, Copy, Debug)]
pub struct Frequency {
    /// Texts that have it.
    pub having: usize,
    /// Texts that there are.
    pub texts: u64,
    /// Words of all of them.
    pub words: u64,
}

/// What a word that is in a text `count` times adds to its score (BM25).
pub fn weight(frequency: Frequency, count: u32, length: u16) -> f64 {
    let (texts, having) = (frequency.texts.max(frequency.having as u64) as f64, frequency.having as f64);
    let rarity = (1.0 + (texts - having + 0.5) / (having + 0.5)).ln();
    let usual = (frequency.words as f64 / texts.max(1.0)).max(1.0);
    let count = f64::from(count);
    rarity * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * f64::from(length) / usual))
}

/// How much a text counts for its age: 1 now, and half at last.
pub fn recency(made: Timestamp, now: Timestamp) -> f64 {
    let days = now.0.saturating_sub(made.0) as f64 / DAY_MS;
    0.5 + 0.5 * (-days / HALF_LIFE_DAYS).exp2()
}

/// A piece of a found text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    /// A word that was looked for.
    pub is_match: bool,
}

/// The part of a text around the first word that was looked for, in pieces: about `characters_max` characters.
pub fn snippet(text: &str, query: &Query, characters_max: usize) -> Vec<Piece> {
    let found: Vec<Range<usize>> = words(text)
        .filter(|(_, word)| query.terms.iter().any(|term| term.matches(word)))
        .map(|(at, _)| at)
        .take(characters_max)
        .collect();
    let first = found.first().map_or(0, |at| at.start);
    let before = text[..first].char_indices().rev().take(characters_max / 4).last();
    let start = before.map_or(first, |(at, _)| at);
    let end = text[start..].char_indices().nth(characters_max).map_or(text.len(), |(at, _)| start + at);
    let mut pieces = Vec::new();
    let mut add = |text: String, is_match| {
        if !text.is_empty() {
            pieces.push(Piece { text, is_match });
        }
    };
    let mut position = start;
    if start > 0 {
        add("…".to_owned(), false);
    }
    for at in found.into_iter().filter(|at| at.start >= start && at.end <= end) {
        add(text[position..at.start].to_owned(), false);
        add(text[at.clone()].to_owned(), true);
        position = at.end;
    }
    let rest = &text[position..end];
    add(if end < text.len() { format!("{rest}…") } else { rest.to_owned() }, false);
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> Vec<String> {
        words(text).map(|(_, word)| word).collect()
    }

    #[test]
    fn words_are_the_same_whatever_their_case_and_accents() {
        assert_eq!(folded("Café CAFE\u{301} cafe"), ["cafe", "cafe", "cafe"]);
        assert_eq!(folded("Ärger, naïve—Straße! ﬁne"), ["arger", "naive", "straße", "fine"]);
        assert_eq!(folded("漢字 and 123.5"), ["漢", "字", "and", "123.5"]);
        assert_eq!(folded(" … — !"), Vec::<String>::new());
        assert_eq!(folded(&"é".repeat(1_000))[0].len(), WORD_BYTES_MAX);
    }

    #[test]
    fn the_last_word_of_a_query_may_be_unfinished() {
        let query = Query::parse("Light hou").expect("words");
        assert!(query.terms[0].matches("light") && !query.terms[0].matches("lighthouse"));
        assert!(query.terms[1].matches("house"));
        assert!(!Query::parse("hou ").expect("a word").terms[0].is_prefix);
        assert_eq!(Query::parse(" ?! "), None);
        assert_eq!(Query::parse("a b c d e f g h i"), None, "too many");
    }

    #[test]
    fn a_rarer_word_counts_more_and_a_newer_text_too() {
        let common = Frequency { having: 90, texts: 100, words: 10_000 };
        let rare = Frequency { having: 2, ..common };
        assert!(weight(rare, 1, 100) > weight(common, 1, 100));
        assert!(weight(rare, 3, 100) > weight(rare, 1, 100));
        assert!(weight(rare, 1, 50) > weight(rare, 1, 500));
        let now = Timestamp(1_000 * 86_400_000);
        assert!(recency(now, now) > recency(Timestamp(0), now));
    }

    #[test]
    fn a_snippet_shows_where_the_words_stand() {
        let query = Query::parse("CAFE tok").expect("words");
        let shown = snippet("We met in the Café in Tokyo.", &query, 200);
        let shown: Vec<_> = shown.iter().map(|piece| (piece.text.as_str(), piece.is_match)).collect();
        assert_eq!(
            shown,
            [("We met in the ", false), ("Café", true), (" in ", false), ("Tokyo", true), (".", false)]
        );
        let long = format!("{} café {}", "word ".repeat(500), "more ".repeat(500));
        let shown: String = snippet(&long, &query, 100).into_iter().map(|piece| piece.text).collect();
        assert!(shown.starts_with('…') && shown.ends_with('…') && shown.contains("café"), "{shown}");
        assert!(shown.chars().count() <= 102);
    }

    proptest! {
        #[test]
        fn any_text_has_words_within_their_bounds(text in "\\PC*") {
            for (at, word) in words(&text) {
                prop_assert!(word.len() <= WORD_BYTES_MAX && !word.contains('\0'));
                prop_assert!(text.is_char_boundary(at.start) && text.is_char_boundary(at.end));
            }
            prop_assert!(Words::of(&text).counts.len() <= WORDS_MAX);
        }

        #[test]
        fn a_snippet_of_any_text_is_a_part_of_it(text in "\\PC*", query in "\\PC{1,20}", max in 1_usize..200) {
            if let Some(query) = Query::parse(&query) {
                let shown: String = snippet(&text, &query, max).into_iter().map(|piece| piece.text).collect();
                prop_assert!(text.contains(shown.trim_matches('…')) || text.contains('…'));
            }
        }
    }
}
