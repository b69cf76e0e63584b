//! Texts that their operator keeps from callers, and how repetitions of them are known.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A text for providers and for the store, never for callers or the log: its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// The text: for a provider's request, or to be rendered.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

/// Letters and digits in a row that make a repetition.
const RUN: usize = 6;
/// A longer option is a text.
const SETTING_BYTES_MAX: usize = 24;
/// The most characters of a hidden text that are compared.
const CHARACTERS_MAX: usize = 200_000;

/// Knows other texts that repeat a part of hidden ones.
///
/// Compared are letters and digits alone, in lower case: whatever stands between them, however it is quoted, escaped (JSON, percent,
/// HTML), cut or wrapped, a row of six that a hidden text has too is a repetition.
#[derive(Clone)]
pub struct HiddenTexts {
    rows: HashSet<[char; RUN]>,
    /// Those that are shorter than a row.
    short: Vec<Vec<char>>,
}

impl fmt::Debug for HiddenTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HiddenTexts(…)")
    }
}

impl HiddenTexts {
    /// Knows these texts.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut rows, mut short) = (HashSet::new(), Vec::new());
        for text in texts {
            let bare: Vec<char> = bare(text).take(CHARACTERS_MAX).collect();
            if bare.len() < RUN {
                short.extend((!bare.is_empty()).then_some(bare));
            } else {
                rows.extend(bare.array_windows::<RUN>().copied());
            }
        }
        Self { rows, short }
    }

    /// Knows prompts, and the texts among provider-specific options, which are a JSON object.
    pub fn of_prompt<'a>(prompts: impl Iterator<Item = &'a str>, options: &str) -> Self {
        let options: serde_json::Value = serde_json::from_str(options).unwrap_or_default();
        let mut texts: Vec<&str> = prompts.collect();
        gather(&options, &mut texts);
        Self::of(texts)
    }

    /// Whether a text repeats a part of a hidden one.
    pub fn are_in(&self, text: &str) -> bool {
        let bare: Vec<char> = bare(text).collect();
        bare.array_windows::<RUN>().any(|row| self.rows.contains(row))
            || self.short.iter().any(|short| bare.windows(short.len()).any(|part| part == short.as_slice()))
    }
}

/// The texts of a JSON value that are long enough to be sentences: settings are words.
fn gather<'v>(value: &'v serde_json::Value, texts: &mut Vec<&'v str>) {
    use serde_json::Value;
    match value {
        Value::String(text) if text.len() > SETTING_BYTES_MAX => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        Value::Object(members) => members.values().for_each(|member| gather(member, texts)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Letters and digits in lower case, escapes resolved.
fn bare(text: &str) -> impl Iterator<Item = char> {
    Bare { rest: text }.filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase)
}

struct Bare<'a> {
    rest: &'a str,
}

impl Iterator for Bare<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let first = characters.next()?;
        let (read, rest) = match first {
            '\\' => json_escape(characters.as_str()),
            '%' => percent_escape(characters.as_str()),
            '&' => html_escape(characters.as_str()),
            _ => (first, characters.as_str()),
        };
        self.rest = rest;
        Some(read)
    }
}

/// After a backslash: the rest of a run of them, and what they stand before (RFC 8259 §7), however often it was escaped.
fn json_escape(after: &str) -> (char, &str) {
    let rest = after.trim_start_matches('\\');
    if let Some(code) = rest.strip_prefix('u')
        && let Some(read) = code.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok())
    {
        return (char::from_u32(read).unwrap_or(' '), &code[4..]);
    }
    (' ', rest.strip_prefix(['n', 'r', 't', 'b', 'f']).unwrap_or(rest))
}

/// After a percent sign: the bytes of one character (RFC 3986 §2.1).
fn percent_escape(after: &str) -> (char, &str) {
    let byte = |text: &str| text.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let Some(first) = byte(after) else { return (' ', after) };
    let length = match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    };
    let (mut bytes, mut rest) = (vec![first], &after[2..]);
    while bytes.len() < length {
        match rest.strip_prefix('%').and_then(|next| Some((byte(next)?, &next[2..]))) {
            Some((next, after)) => {
                bytes.push(next);
                rest = after;
            }
            None => break,
        }
    }
    let read = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next());
    (read.unwrap_or(' '), rest)
}

/// After an ampersand: the name or number of a character.
fn html_escape(after: &str) -> (char, &str) {
    let Some((name, rest)) = after.split_once(';').filter(|(name, _)| name.len() <= 8) else {
        return (' ', after);
    };
    match name.strip_prefix('#') {
        Some(number) => {
            let read = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            (read.ok().and_then(char::from_u32).unwrap_or(' '), rest)
        }
        None if matches!(name, "quot" | "amp" | "apos" | "lt" | "gt" | "nbsp") => (' ', rest),
        None => (' ', after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "You are Zephyr-77.\nNever say \"naïve\" (it's our «word»).";

    #[test]
    fn a_repetition_is_known_however_it_is_written() {
        let hidden = HiddenTexts::of([SECRET]);
        let json = serde_json::to_string(SECRET).expect("JSON");
        let twice = serde_json::to_string(&json).expect("JSON");
        let ascii: String = SECRET
            .chars()
            .map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) })
            .collect();
        let percent: String = SECRET.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let html = SECRET.replace('"', "&quot;").replace('\'', "&#39;").replace('ï', "&#xef;");
        for told in [SECRET, &json, &twice, &ascii, &percent, &html] {
            assert!(hidden.are_in(&format!("bad request: {told}")), "{told}");
        }
        for piece in ["ZEPHYR-77", "zephyr_7", "n a ï v e i", "s o u r w o", "say+%22na%C3%AFve"] {
            assert!(hidden.are_in(piece), "{piece}");
        }
        for other in ["", "the size must be 512x512", "\\", "%", "&", "%zz", "&#;", "\\u12", "Zephy"] {
            assert!(!hidden.are_in(other), "{other}");
        }
    }

    #[test]
    fn a_short_text_is_known_as_a_whole() {
        let hidden = HiddenTexts::of(["XJ-42", ""]);
        assert!(hidden.are_in("the word \"xj 42\" is not allowed"));
        assert!(!hidden.are_in("xj 4"));
    }

    #[test]
    fn nothing_of_it_is_printed() {
        assert_eq!(
            format!("{:?} {:?}", Hidden::new(SECRET), HiddenTexts::of([SECRET])),
            "Hidden(…) HiddenTexts(…)"
        );
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics_and_repeats_itself(text in ".*") {
            let hidden = HiddenTexts::of([text.as_str()]);
            prop_assert_eq!(hidden.are_in(&text), bare(&text).next().is_some());
        }
    }
}
