//! The requests of a batch, read line by line out of its file, and what is checked before any of them is run.

use std::collections::HashSet;
use std::io;

use atelier_domain::batch::{BatchEndpoint, MISTAKES_MAX, Mistake};
use atelier_domain::blob::Blob;
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::files::{LINE_BYTES_MAX, LINES_MAX};

/// Read at once. Of every batch that is driven as much is held, and as many lines as that are.
const PIECE_BYTES: usize = 64 << 10;
/// Bytes of an id that an owner gives a request.
const CUSTOM_ID_BYTES_MAX: usize = 512;

/// A request of a batch (OpenAI API, batches: the request input object).
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    pub custom_id: String,
    method: String,
    url: String,
    #[serde(borrow)]
    pub body: &'a RawValue,
}

/// What is looked at of a body; what else is wrong with it, the request itself is answered.
#[derive(Default, Deserialize)]
struct Glance {
    model: Option<Value>,
    stream: Option<Value>,
}

/// Reads a line that was checked.
pub(super) fn parse(line: &[u8]) -> Result<Line<'_>, serde_json::Error> {
    serde_json::from_slice(line)
}

/// The lines of a file, in their order. It blocks.
#[derive(Debug)]
pub(super) struct Lines {
    blob: Blob,
    offset: u64,
    held: BytesMut,
    /// How much of what is held has no line break.
    searched: usize,
    number: u32,
}

impl Lines {
    pub(super) fn new(blob: Blob) -> Self {
        Self { blob, offset: 0, held: BytesMut::new(), searched: 0, number: 0 }
    }

    /// The next lines that are not empty, each with its number from 1: at least one, until so many bytes are together.
    pub(super) fn page(&mut self, bytes_max: usize) -> io::Result<Vec<(u32, Bytes)>> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        while bytes < bytes_max {
            let Some((number, line)) = self.next()? else { break };
            bytes += line.len().max(1);
            page.push((number, line));
        }
        Ok(page)
    }

    fn next(&mut self) -> io::Result<Option<(u32, Bytes)>> {
        loop {
            let Some(line) = self.line()? else { return Ok(None) };
            self.number += 1;
            if !line.trim_ascii().is_empty() {
                return Ok(Some((self.number, line)));
            }
        }
    }

    fn line(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(at) = self.held[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.held.split_to(self.searched + at + 1).freeze();
                self.searched = 0;
                return Ok(Some(line.slice(..line.len() - 1)));
            }
            self.searched = self.held.len();
            if self.held.len() > LINE_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
            }
            let piece = self.blob.read(self.offset, PIECE_BYTES)?;
            if piece.is_empty() {
                self.searched = 0;
                let rest = self.held.split().freeze();
                return Ok((!rest.is_empty()).then_some(rest));
            }
            self.offset += piece.len() as u64;
            self.held.extend_from_slice(&piece);
        }
    }
}

/// What was found in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Checked {
    pub total: u64,
    /// The model that all of them name.
    pub model: Option<String>,
    pub mistakes: Vec<Mistake>,
}

/// Checks all lines of a file. It blocks.
pub(super) fn check(blob: Blob, endpoint: BatchEndpoint) -> io::Result<Checked> {
    let (mut lines, mut checked) = (Lines::new(blob), Checked::default());
    let mut ids = HashSet::new();
    let mut models = HashSet::new();
    while let Some((number, line)) = lines.next()? {
        checked.total += 1;
        let wrong = if checked.total > LINES_MAX {
            Some(("too_many_requests", format!("a batch has {LINES_MAX} requests at most"), None))
        } else {
            wrong(&line, endpoint, &mut ids, &mut models)
        };
        let Some((code, message, param)) = wrong else { continue };
        let (code, param, line) = (code.to_owned(), param.map(str::to_owned), Some(u64::from(number)));
        checked.mistakes.push(Mistake { code, message, param, line });
        if checked.mistakes.len() == MISTAKES_MAX || checked.total > LINES_MAX {
            break;
        }
    }
    if checked.total == 0 {
        let (code, message) = ("empty_file".to_owned(), "there is no request in the file".to_owned());
        checked.mistakes.push(Mistake { code, message, param: None, line: None });
    }
    checked.model = models.into_iter().next().filter(|_| checked.mistakes.is_empty());
    Ok(checked)
}

type Wrong = (&'static str, String, Option<&'static str>);

fn wrong(
    line: &[u8],
    endpoint: BatchEndpoint,
    ids: &mut HashSet<[u8; 16]>,
    models: &mut HashSet<String>,
) -> Option<Wrong> {
    let line = match parse(line) {
        Ok(line) => line,
        Err(error) => {
            let message = error.to_string().replace(" at line 1 column", " at column");
            return Some(("invalid_json_line", message, None));
        }
    };
    if !(1..=CUSTOM_ID_BYTES_MAX).contains(&line.custom_id.len()) {
        let message = format!("it must have 1 to {CUSTOM_ID_BYTES_MAX} bytes");
        return Some(("invalid_custom_id", message, Some("custom_id")));
    }
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::hash(line.custom_id.as_bytes()).as_bytes()[..16]);
    if !ids.insert(short) {
        return Some(("duplicate_custom_id", "it is that of an earlier line".to_owned(), Some("custom_id")));
    }
    if line.method != "POST" {
        return Some(("invalid_method", "it must be \"POST\"".to_owned(), Some("method")));
    }
    if line.url != endpoint.as_str() {
        let message = format!("it must be the batch's endpoint, {endpoint}");
        return Some(("mismatched_endpoint", message, Some("url")));
    }
    if !line.body.get().starts_with('{') {
        return Some(("invalid_body", "it must be an object".to_owned(), Some("body")));
    }
    let glance: Glance = serde_json::from_str(line.body.get()).unwrap_or_default();
    if glance.stream == Some(Value::Bool(true)) {
        let message = "an answer in a file is no stream: leave it out".to_owned();
        return Some(("streaming_not_supported", message, Some("body.stream")));
    }
    // More than one: none is that of the batch.
    if let (Some(Value::String(model)), 0..=1) = (glance.model, models.len()) {
        models.insert(model);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(text: &str) -> Blob {
        Blob::in_memory("application/jsonl", text.to_owned().into())
    }

    fn request(id: &str, body: &str) -> String {
        format!("{{\"custom_id\":\"{id}\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":{body}}}\n")
    }

    fn codes(text: &str) -> Vec<(String, Option<u64>)> {
        let checked = check(blob(text), BatchEndpoint::Embeddings).expect("read");
        checked.mistakes.into_iter().map(|mistake| (mistake.code, mistake.line)).collect()
    }

    #[test]
    fn good_lines_are_counted_and_their_one_model_is_told() {
        let one = |model: &str| format!("{{\"model\":\"{model}\"}}");
        let checked = |text: &str| check(blob(text), BatchEndpoint::Embeddings).expect("read");
        let same = [request("a", &one("m")), "\n \n".to_owned(), request("b", &one("m"))].concat();
        assert_eq!(checked(&same), Checked { total: 2, model: Some("m".to_owned()), mistakes: Vec::new() });
        let other = [request("a", &one("m")), request("b", &one("n"))].concat();
        assert!(checked(other.trim_end()).mistakes.is_empty());
    }

    #[test]
    fn each_mistake_is_told_with_its_line() {
        let good = request("a", "{}");
        for (line, code) in [
            ("{oops}\n".to_owned(), "invalid_json_line"),
            ("{\"custom_id\":\"b\"}\n".to_owned(), "invalid_json_line"),
            (request("", "{}"), "invalid_custom_id"),
            (request(&"x".repeat(513), "{}"), "invalid_custom_id"),
            (good.clone(), "duplicate_custom_id"),
            (request("b", "{}").replace("POST", "GET"), "invalid_method"),
            (request("b", "{}").replace("embeddings", "files"), "mismatched_endpoint"),
            (request("b", "[]"), "invalid_body"),
            (request("b", "{\"stream\":true}"), "streaming_not_supported"),
        ] {
            let found = codes(&[&good, "\n", line.as_str()].concat());
            assert_eq!(found, [(code.to_owned(), Some(3))], "{line}");
        }
        assert_eq!(codes("\n"), [("empty_file".to_owned(), None)]);
        assert_eq!(codes(&"{\n".repeat(MISTAKES_MAX + 5)).len(), MISTAKES_MAX);
    }

    #[test]
    fn more_requests_than_a_batch_has_are_refused() {
        let many: String = (0..=LINES_MAX).map(|n| request(&n.to_string(), "{}")).collect();
        assert_eq!(codes(&many), [("too_many_requests".to_owned(), Some(LINES_MAX + 1))]);
    }

    #[test]
    fn lines_longer_than_a_piece_come_whole() {
        let long = request("a", &format!("{{\"x\":\"{}\"}}", "y".repeat(PIECE_BYTES * 2)));
        let text = [long.as_str(), &request("b", "{}"), "last"].concat();
        let mut lines = Lines::new(blob(&text));
        let first = lines.page(1).expect("read");
        assert_eq!((first.len(), first[0].0, first[0].1.len()), (1, 1, long.len() - 1));
        let rest = lines.page(usize::MAX).expect("read");
        assert_eq!(rest.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(rest[1].1, "last");
        assert!(lines.page(usize::MAX).expect("read").is_empty());
    }
}
