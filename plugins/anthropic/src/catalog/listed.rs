//! The provider's own list (<https://platform.claude.com/docs/en/api/models-list>), enriched with what is known.

use super::known;
use crate::rate_limit::unix_ms;
use atelier_plugin_sdk::catalog::{Model, ModelPage, Status};
use atelier_plugin_sdk::{Failure, json};
use serde::Deserialize;

/// More models than this in one page are left out.
const MODELS_MAX: usize = 1_000;

#[derive(Deserialize)]
struct List {
    data: Vec<Entry>,
    #[serde(default)]
    has_more: bool,
    last_id: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    display_name: Option<String>,
    created_at: Option<String>,
    max_input_tokens: Option<u64>,
    max_tokens: Option<u64>,
    lifecycle: Option<String>,
    capabilities: Option<Capabilities>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    image_input: Option<Support>,
    pdf_input: Option<Support>,
    structured_outputs: Option<Support>,
    thinking: Option<Support>,
}

#[derive(Deserialize)]
struct Support {
    #[serde(default)]
    supported: bool,
}

/// A page of models.
pub fn page(body: &[u8]) -> Result<ModelPage, Failure> {
    let list: List = json::parse(body)?;
    Ok(ModelPage {
        next: list.last_id.filter(|_| list.has_more),
        models: list.data.into_iter().take(MODELS_MAX).map(described).collect(),
    })
}

/// The model of a single entry's body.
pub fn model(body: &[u8]) -> Result<Model, Failure> {
    Ok(described(json::parse(body)?))
}

fn described(entry: Entry) -> Model {
    let mut model = known::find(&entry.id).unwrap_or_else(|| known::unknown(entry.id));
    if let Some(name) = entry.display_name.filter(|name| !name.is_empty()) {
        model.name = name;
    }
    model.created = entry.created_at.as_deref().and_then(unix_ms).unwrap_or(0) / 1000;
    model.limits.context_tokens = entry.max_input_tokens.or(model.limits.context_tokens);
    model.limits.output_tokens = entry.max_tokens.or(model.limits.output_tokens);
    if matches!(entry.lifecycle.as_deref(), Some("deprecated" | "retired")) {
        model.status = Status::Deprecated;
    }
    if let Some(can) = entry.capabilities {
        let has = |support: &Option<Support>| support.as_ref().is_some_and(|support| support.supported);
        model.input_modalities.clear();
        for (support, word) in [(&can.image_input, "image"), (&can.pdf_input, "file")] {
            if has(support) {
                model.input_modalities.push(word.to_owned());
            }
        }
        model.features = known::words(&["tools", "streaming"]);
        for (support, word) in [(&can.structured_outputs, "structured-output"), (&can.thinking, "thinking")] {
            if has(support) {
                model.features.push(word.to_owned());
            }
        }
    }
    model
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"{"data":[
        {"type":"model","id":"claude-opus-5-5","display_name":"Claude Opus 5.5","created_at":"2026-09-01T00:00:00Z"},
        {"type":"model","id":"claude-next-9","display_name":"Claude Next 9","created_at":"1970-01-01T00:00:00Z",
         "max_input_tokens":2000000,"max_tokens":256000,"lifecycle":"deprecated",
         "capabilities":{"image_input":{"supported":true},"pdf_input":{"supported":false},
           "structured_outputs":{"supported":true},"thinking":{"supported":true,"types":{"adaptive":{"supported":true}}}}}],
        "has_more":true,"first_id":"claude-opus-5-5","last_id":"claude-next-9"}"#;

    #[test]
    fn a_page_is_enriched_and_names_the_next() {
        let page = page(PAGE.as_bytes()).unwrap();
        assert_eq!(page.next.as_deref(), Some("claude-next-9"));
        let [opus, next] = page.models.as_slice() else { panic!("two models") };
        assert_eq!((opus.limits.output_tokens, opus.created), (Some(128_000), 1_788_220_800));
        assert!(!opus.prices.is_empty() && next.prices.is_empty());
        assert_eq!((next.limits.context_tokens, next.limits.output_tokens), (Some(2_000_000), Some(256_000)));
        assert_eq!(next.input_modalities, ["image"]);
        assert_eq!(next.features, ["tools", "streaming", "structured-output", "thinking"]);
        assert_eq!(next.status, Status::Deprecated);
    }

    #[test]
    fn the_last_page_names_no_next() {
        let page = page(br#"{"data":[],"has_more":false,"last_id":"x"}"#).unwrap();
        assert!(page.next.is_none() && page.models.is_empty());
    }

    #[test]
    fn what_is_no_list_is_a_bad_response() {
        assert_eq!(page(b"<html>").err().unwrap().code, "bad-response");
        assert_eq!(page(br#"{"models":[]}"#).err().unwrap().code, "bad-response");
    }
}
