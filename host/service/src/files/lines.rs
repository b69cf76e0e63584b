//! JSON Lines (<https://jsonlines.org>), checked while they arrive: the first mistake is told with its line.

use std::collections::HashSet;

use atelier_domain::file::Purpose;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Bytes of a line.
pub const LINE_BYTES_MAX: usize = 16 << 20;
/// Requests of a batch, as in OpenAI's API.
pub const LINES_MAX: u64 = 50_000;

/// A mistake and its line, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    line: u64,
    why: String,
}

impl Mistake {
    pub(super) fn told(&self) -> String {
        format!("line {}: {}", self.line, self.why)
    }
}

/// What a line of a batch has (OpenAI API, batches).
#[derive(Deserialize)]
struct BatchLine<'a> {
    custom_id: Option<String>,
    method: Option<String>,
    url: Option<String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// Any members, each well-formed.
#[derive(Deserialize)]
struct AnyLine {}

/// Checks lines as they come. What a file is for may be told after it: until then both kinds of rules are tried.
#[derive(Debug)]
pub(super) struct Lines {
    purpose: Option<Purpose>,
    line: Vec<u8>,
    /// Lines begun so far.
    number: u64,
    filled: u64,
    /// The first empty line that nothing has followed yet.
    empty_at: Option<u64>,
    /// Against the rules of every kind.
    mistake: Option<Mistake>,
    /// Against those of a batch.
    batch_mistake: Option<Mistake>,
    /// Digests of a batch's ids.
    ids: HashSet<[u8; 16]>,
}

impl Lines {
    pub(super) fn new(purpose: Option<Purpose>) -> Self {
        Self {
            purpose,
            line: Vec::new(),
            number: 0,
            filled: 0,
            empty_at: None,
            mistake: None,
            batch_mistake: None,
            ids: HashSet::new(),
        }
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while self.mistake.is_none() {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { break };
            self.extend(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        if self.mistake.is_none() {
            self.extend(bytes);
        }
    }

    /// What is wrong so far, for a file of this purpose.
    pub(super) fn mistake_for(&self, purpose: Purpose) -> Option<&Mistake> {
        let mistake = self.mistake.as_ref().filter(|_| purpose.is_lines());
        let batch_mistake = self.batch_mistake.as_ref().filter(|_| purpose == Purpose::Batch);
        // Whichever comes first in the file.
        [mistake, batch_mistake].into_iter().flatten().min_by_key(|mistake| mistake.line)
    }

    /// Takes the end of the file.
    pub(super) fn end(&mut self) {
        if self.mistake.is_none() && !self.line.is_empty() {
            self.end_line();
        }
        if self.mistake.is_none() && self.filled == 0 {
            self.wrong("there is no JSON object");
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > LINE_BYTES_MAX {
            self.number += 1;
            self.wrong(&format!("a line may have {LINE_BYTES_MAX} bytes at most"));
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) {
        if self.mistake.is_some() {
            return;
        }
        self.number += 1;
        let mut line = std::mem::take(&mut self.line);
        let Ok(text) = std::str::from_utf8(line.trim_ascii()) else {
            return self.wrong("is not UTF-8");
        };
        if text.is_empty() {
            self.empty_at.get_or_insert(self.number);
        } else if let Some(at) = self.empty_at {
            self.mistake = Some(Mistake { line: at, why: "is empty".to_owned() });
        } else if !text.starts_with('{') {
            self.wrong("must be a JSON object");
        } else if let Err(error) = serde_json::from_str::<AnyLine>(text) {
            let why = error.to_string();
            // The position is one of our own line, whose number is always 1.
            self.wrong(&why.replace(" at line 1 column", " at column"));
        } else {
            self.filled += 1;
            if self.batch_mistake.is_none() && self.purpose.is_none_or(|purpose| purpose == Purpose::Batch) {
                let why = self.batch_rule(text);
                self.batch_mistake = why.map(|why| Mistake { line: self.number, why });
            }
        }
        line.clear();
        self.line = line;
    }

    /// The rule of a batch that a line breaks.
    fn batch_rule(&mut self, text: &str) -> Option<String> {
        let line: BatchLine<'_> = match serde_json::from_str(text) {
            Ok(line) => line,
            Err(error) => return Some(error.to_string().replace(" at line 1 column", " at column")),
        };
        if self.filled > LINES_MAX {
            return Some(format!("a batch has {LINES_MAX} requests at most"));
        }
        let Some(id) = line.custom_id.filter(|id| !id.is_empty()) else {
            return Some("`custom_id` is missing".to_owned());
        };
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..16]);
        if !self.ids.insert(short) {
            return Some("its `custom_id` is that of an earlier line".to_owned());
        }
        if line.method.as_deref() != Some("POST") {
            return Some("`method` must be \"POST\"".to_owned());
        }
        if !line.url.is_some_and(|url| url.starts_with("/v1/")) {
            return Some("`url` must be a path that begins with /v1/".to_owned());
        }
        match line.body {
            Some(body) if body.get().starts_with('{') => None,
            Some(_) | None => Some("`body` must be an object".to_owned()),
        }
    }

    fn wrong(&mut self, why: &str) {
        self.mistake.get_or_insert(Mistake { line: self.number.max(1), why: why.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(purpose: Option<Purpose>, wanted: Purpose, text: &str, piece: usize) -> Option<String> {
        let mut lines = Lines::new(purpose);
        text.as_bytes().chunks(piece.max(1)).for_each(|piece| lines.feed(piece));
        lines.end();
        lines.mistake_for(wanted).map(Mistake::told)
    }

    fn fine_tune(text: &str) -> Option<String> {
        told(Some(Purpose::FineTune), Purpose::FineTune, text, usize::MAX)
    }

    fn batch(text: &str) -> Option<String> {
        told(Some(Purpose::Batch), Purpose::Batch, text, usize::MAX)
    }

    #[test]
    fn good_lines_pass_with_or_without_a_last_line_break() {
        for text in ["{}", "{}\n", "{\"a\": 1}\r\n{\"b\": [2]}\r\n", " {} \n\n\n"] {
            assert_eq!(fine_tune(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        for (text, wanted) in [
            ("", "line 1: there is no JSON object"),
            ("\n\n", "line 2: there is no JSON object"),
            ("{}\n[]\n{}", "line 2: must be a JSON object"),
            ("{}\n\n{}", "line 2: is empty"),
            ("{}\n{}\n{\"a\":}\n", "line 3: expected value at column 6"),
            ("{}\n{\"a\": \"\n", "line 2: EOF while parsing a string at column 7"),
            ("{} {}", "line 1: trailing characters at column 4"),
            ("\u{feff}{}", "line 1: must be a JSON object"),
        ] {
            assert_eq!(fine_tune(text).as_deref(), Some(wanted), "{text:?}");
        }
        let mut lines = Lines::new(Some(Purpose::FineTune));
        lines.feed(b"{\"a\": \"\xff\"}\n");
        let told = lines.mistake_for(Purpose::FineTune).expect("no UTF-8").told();
        assert_eq!(told, "line 1: is not UTF-8");
    }

    #[test]
    fn a_batch_s_requests_are_complete_and_told_apart() {
        let line = |id: &str| {
            format!(r#"{{"custom_id":"{id}","method":"POST","url":"/v1/embeddings","body":{{}}}}"#)
        };
        assert_eq!(batch(&[line("a"), line("b")].join("\n")), None);
        let twice = [line("a"), line("b"), line("a")].join("\n");
        assert_eq!(batch(&twice).as_deref(), Some("line 3: its `custom_id` is that of an earlier line"));
        for (old, new, why) in [
            ("\"custom_id\":\"b\",", "", "`custom_id` is missing"),
            ("POST", "GET", "`method` must be \"POST\""),
            ("/v1/", "/v2/", "`url` must be a path that begins with /v1/"),
            ("{}}", "[]}", "`body` must be an object"),
        ] {
            let text = format!("{}\n{}", line("a"), line("b").replace(old, new));
            assert_eq!(batch(&text), Some(format!("line 2: {why}")));
        }
        let many: Vec<_> = (0..=LINES_MAX).map(|n| line(&n.to_string())).collect();
        assert_eq!(batch(&many[1..].join("\n")), None);
        let told = batch(&many.join("\n")).expect("one too many");
        assert_eq!(told, format!("line {}: a batch has {LINES_MAX} requests at most", LINES_MAX + 1));
    }

    #[test]
    fn a_line_is_bounded() {
        let long = |length: usize| format!("{{}}\n{{\"a\":\"{}\"}}\n", "x".repeat(length - 8));
        assert_eq!(fine_tune(&long(LINE_BYTES_MAX)), None);
        let told = fine_tune(&long(LINE_BYTES_MAX + 1)).expect("too long");
        assert_eq!(told, format!("line 2: a line may have {LINE_BYTES_MAX} bytes at most"));
    }

    #[test]
    fn what_a_file_is_for_may_be_told_after_it() {
        let text = "{\"messages\": []}\n";
        assert_eq!(told(None, Purpose::FineTune, text, 3), None);
        assert_eq!(told(None, Purpose::Batch, text, 3).as_deref(), Some("line 1: `custom_id` is missing"));
        assert_eq!(told(None, Purpose::UserData, "no lines at all", 3), None);
    }

    proptest! {
        #[test]
        fn how_the_bytes_come_makes_no_difference(text in "(\\{\\}|[a-z{}\": \n]){0,40}", piece in 1usize..10) {
            let whole = told(None, Purpose::FineTune, &text, usize::MAX);
            prop_assert_eq!(told(None, Purpose::FineTune, &text, piece), whole);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut lines = Lines::new(None);
            lines.feed(&bytes);
            lines.end();
        }
    }
}
