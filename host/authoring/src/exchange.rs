//! Recorded exchanges with a provider: `tests/exchanges/*.json`, each file a list.
//!
//! ```json
//! [{
//!   "request": { "method": "POST", "path": "/v1/answers", "body": { "model": "acme-1" } },
//!   "responses": [{ "status": 200, "headers": { "content-type": "application/json" }, "json": { "text": "Hello" } }]
//! }]
//! ```
//!
//! A request is matched by method, path, and those members of its query, its form and its JSON body that are given; of several matches
//! the most specific counts. The nth request is answered with the nth response, all later ones with the last. `{upstream}` in a
//! response stands for the address of the server that replays it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Stands in recorded texts for the address of the upstream.
pub const UPSTREAM: &str = "{upstream}";

/// A request as it is recognised, and how it is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Exchange {
    pub request: Pattern,
    /// The status of the failure for which this is the provider's own answer; absent: the good answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<u16>,
    /// One at least.
    pub responses: Vec<Answer>,
}

/// What a request must have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pattern {
    /// Upper case.
    pub method: String,
    /// Decoded, from the root of the provider's host.
    pub path: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Fields of a form (RFC 7578) that are no files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub form: BTreeMap<String, String>,
    /// Members that its JSON body must have, among others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// What the provider answers. Of `json`, `text`, `base64` and `chunks` one is given, or none for an empty body.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Answer {
    pub status: u16,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chunks: Vec<Chunk>,
}

/// A piece of a body, sent on its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Chunk {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// How long it keeps its reader waiting, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Chunk {
    /// Bytes as text where they are.
    pub fn of(bytes: &[u8], delay_ms: u64) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self { text: Some(text.to_owned()), base64: None, delay_ms },
            Err(_) => Self { text: None, base64: Some(STANDARD.encode(bytes)), delay_ms },
        }
    }
}

impl Answer {
    /// The body's pieces with the delay before each, `{upstream}` filled in.
    ///
    /// # Errors
    /// Something in it is not base64.
    pub fn pieces(&self, upstream: &str) -> anyhow::Result<Vec<(u64, Bytes)>> {
        let piece = |text: &Option<String>, base64: &Option<String>| -> anyhow::Result<Bytes> {
            match (text, base64) {
                (Some(text), None) => Ok(text.replace(UPSTREAM, upstream).into()),
                (None, Some(base64)) => Ok(STANDARD.decode(base64).context("base64")?.into()),
                (None, None) => Ok(Bytes::new()),
                (Some(_), Some(_)) => bail!("it has both `text` and `base64`"),
            }
        };
        if !self.chunks.is_empty() {
            let pieces = self.chunks.iter().map(|c| Ok((c.delay_ms, piece(&c.text, &c.base64)?)));
            return pieces.collect();
        }
        if let Some(json) = &self.json {
            return Ok(vec![(0, json.to_string().replace(UPSTREAM, upstream).into())]);
        }
        Ok(vec![(0, piece(&self.text, &self.base64)?)])
    }
}

/// A request, as far as it is matched.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a str,
    /// Decoded.
    pub path: &'a str,
    pub query: &'a BTreeMap<String, String>,
    /// Fields of a form that are no files.
    pub form: &'a BTreeMap<String, String>,
    pub body: &'a [u8],
}

impl Pattern {
    /// How closely a request fits; `None`: not at all.
    pub fn fit(&self, asked: Asked<'_>) -> Option<usize> {
        if self.method != asked.method || self.path != asked.path {
            return None;
        }
        let covers = |wanted: &BTreeMap<String, String>, found: &BTreeMap<String, String>| {
            wanted.iter().all(|(name, value)| found.get(name) == Some(value))
        };
        if !covers(&self.query, asked.query) || !covers(&self.form, asked.form) {
            return None;
        }
        let members = match &self.body {
            None => 0,
            Some(wanted) => {
                let found: Value = serde_json::from_slice(asked.body).ok()?;
                contains(&found, wanted).then(|| leaves(wanted))?
            }
        };
        Some(self.query.len() + self.form.len() + members)
    }
}

/// Whether `found` has all that `wanted` has: members of objects among others, items of arrays in order and none more.
fn contains(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| found.get(name).is_some_and(|found| contains(found, wanted)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found.iter().zip(wanted).all(|(found, wanted)| contains(found, wanted))
        }
        (Value::Number(found), Value::Number(wanted)) => found.as_f64() == wanted.as_f64(),
        (found, wanted) => found == wanted,
    }
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Object(members) => members.values().map(leaves).sum::<usize>() + 1,
        Value::Array(items) => items.iter().map(leaves).sum::<usize>() + 1,
        _ => 1,
    }
}

/// All exchanges of a plugin.
#[derive(Clone, Debug, Default)]
pub struct Exchanges(pub Vec<Exchange>);

impl Exchanges {
    /// Reads a folder's `*.json` in the order of their names. A folder that is not there has none.
    ///
    /// # Errors
    /// A file cannot be read, or is not what it should be; the text names it.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        if !folder.is_dir() {
            return Ok(Self::default());
        }
        let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        let mut files = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        let mut all = Vec::new();
        for file in files {
            let shown = file.display().to_string();
            let text = fs::read(&file).with_context(|| format!("cannot read {shown}"))?;
            let exchanges: Vec<Exchange> =
                serde_json::from_slice(&text).with_context(|| format!("{shown} is no list of exchanges"))?;
            for exchange in &exchanges {
                let Pattern { method, path, .. } = &exchange.request;
                ensure!(!exchange.responses.is_empty(), "{shown}: {method} {path} has no response");
                for answer in &exchange.responses {
                    answer.pieces("").with_context(|| format!("{shown}: {method} {path}"))?;
                }
            }
            all.extend(exchanges);
        }
        Ok(Self(all))
    }

    /// The exchange that fits a request best, of those for this failure or of the good ones.
    pub fn find(&self, on_failure: Option<u16>, asked: Asked<'_>) -> Option<(usize, &Exchange)> {
        let fits = self.0.iter().enumerate().filter(|(_, exchange)| exchange.on_failure == on_failure);
        let fits = fits.filter_map(|(at, exchange)| Some((exchange.request.fit(asked)?, at, exchange)));
        // Of equals the first.
        fits.max_by_key(|(fit, at, _)| (*fit, std::cmp::Reverse(*at))).map(|(_, at, exchange)| (at, exchange))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn exchange(body: Option<Value>, status: u16) -> Exchange {
        let none = BTreeMap::new;
        let (method, path) = ("POST".to_owned(), "/v1/a".to_owned());
        let request = Pattern { method, path, query: none(), form: none(), body };
        Exchange { request, on_failure: None, responses: vec![Answer { status, ..Answer::default() }] }
    }

    #[test]
    fn the_most_specific_exchange_answers_and_missing_members_fit_nothing() {
        let all = Exchanges(vec![
            exchange(None, 200),
            exchange(Some(json!({"stream": true})), 201),
            exchange(Some(json!({"stream": true, "tools": [{"name": "t"}]})), 202),
        ]);
        let status = |body: Value| {
            let body = body.to_string();
            let none = BTreeMap::new();
            let asked =
                Asked { method: "POST", path: "/v1/a", query: &none, form: &none, body: body.as_bytes() };
            assert!(all.find(None, Asked { method: "GET", ..asked }).is_none());
            let found = all.find(None, asked);
            found.map(|(_, exchange)| exchange.responses[0].status)
        };
        assert_eq!(status(json!({"stream": false})), Some(200));
        assert_eq!(status(json!({"stream": true, "more": 1})), Some(201));
        assert_eq!(status(json!({"stream": true, "tools": [{"name": "t", "strict": true}]})), Some(202));
        assert_eq!(status(json!({"stream": true, "tools": []})), Some(201));
    }

    #[test]
    fn texts_name_the_upstream_and_bytes_are_taken_as_they_are() {
        let chunks = vec![Chunk::of(b"at {upstream}/x", 5), Chunk::of(&[0xff, 0xfb], 0)];
        let answer = Answer { status: 200, chunks, ..Answer::default() };
        let pieces = answer.pieces("http://127.0.0.1:1").expect("well-formed");
        assert_eq!(pieces[0], (5, Bytes::from("at http://127.0.0.1:1/x")));
        assert_eq!(pieces[1].1.as_ref(), [0xff, 0xfb]);
    }
}
