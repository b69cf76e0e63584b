//! One request, read whole, as the handlers see it.

mod form;

use axum::http::{HeaderMap, Method, Uri};
use bytes::Bytes;
use serde_json::Value;

pub(crate) use form::Form;

use crate::dialect::Dialect;
use crate::fault::{Fault, FaultKind};

#[derive(Debug)]
pub(crate) struct Call {
    /// The request's number, from which ids are made.
    pub number: u64,
    pub dialect: Dialect,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The body as JSON; `Null` where it is none.
    pub json: Value,
    /// The body as a form; empty where it is none.
    pub form: Form,
    pub fault: Option<Fault>,
    /// `http://host:port` as the client wrote it, for links back to this server.
    pub base_url: String,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The value of a query parameter, percent-decoding aside.
    pub fn query(&self, name: &str) -> Option<&str> {
        let pairs = self.uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// A text parameter from the JSON body or the form.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.json.get(name).and_then(Value::as_str).or_else(|| self.form.text(name))
    }

    /// A number from the JSON body or the form.
    pub fn number_of(&self, name: &str) -> Option<u64> {
        let from_form = || self.form.text(name).and_then(|text| text.parse().ok());
        self.json.get(name).and_then(Value::as_u64).or_else(from_form)
    }

    /// Whether a flag is set in the JSON body or the form.
    pub fn flag(&self, name: &str) -> bool {
        let from_form = || self.form.text(name) == Some("true");
        self.json.get(name).and_then(Value::as_bool).unwrap_or_else(from_form)
    }

    /// The model's name wherever this dialect puts it.
    pub fn model(&self) -> Option<&str> {
        ["model", "model_id", "version"].into_iter().find_map(|name| self.text(name))
    }

    pub fn has_fault(&self, kind: FaultKind) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.kind == kind)
    }

    /// The credential as sent, whichever header the provider puts it in.
    pub fn credential(&self) -> Option<&str> {
        ["authorization", "x-api-key", "xi-api-key", "x-goog-api-key"]
            .into_iter()
            .find_map(|name| self.header(name))
    }

    /// The text that replaces the answer when a fault wants the request echoed.
    pub fn echo(&self) -> Option<String> {
        if !self.has_fault(FaultKind::Echo) && !self.has_fault(FaultKind::EchoSplit) {
            return None;
        }
        let mut text = format!("{} {}\n", self.method, self.uri);
        for (name, value) in header_texts(&self.headers) {
            text.push_str(&format!("{name}: {value}\n"));
        }
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(&self.body));
        Some(text)
    }

    /// A deterministic id in a provider's style.
    pub fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:024}", self.number)
    }
}

/// Header names and readable values, in order.
pub(crate) fn header_texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let readable = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), readable(value.as_bytes()))).collect()
}

/// The seconds since the epoch that this server's answers carry, one apart for each request.
pub(crate) fn created_at(number: u64) -> u64 {
    const BASE: u64 = 1_767_225_600; // 2026-01-01T00:00:00Z
    BASE + number
}
