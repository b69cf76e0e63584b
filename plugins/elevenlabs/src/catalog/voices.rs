//! The account's voices (`GET /v2/voices`, <https://elevenlabs.io/docs/api-reference/voices/search>).

use atelier_plugin_sdk::catalog::{Voice, VoicePage};
use atelier_plugin_sdk::{Failure, Pair, json, pair};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Page {
    voices: Vec<Entry>,
    #[serde(default)]
    has_more: bool,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    voice_id: String,
    name: Option<String>,
    category: Option<String>,
    labels: Option<BTreeMap<String, Option<String>>>,
    preview_url: Option<String>,
    verified_languages: Option<Vec<Language>>,
}

#[derive(Deserialize)]
struct Language {
    language: String,
    locale: Option<String>,
}

/// A page of voices.
pub fn page(body: &[u8]) -> Result<VoicePage, Failure> {
    let page: Page = json::parse(body)?;
    Ok(VoicePage {
        voices: page.voices.into_iter().map(voice).collect(),
        next: page.next_page_token.filter(|_| page.has_more),
    })
}

fn voice(entry: Entry) -> Voice {
    let mut languages: Vec<String> = Vec::new();
    let labels = entry.labels.unwrap_or_default();
    let verified = entry.verified_languages.unwrap_or_default().into_iter();
    let verified = verified.map(|language| language.locale.unwrap_or(language.language));
    for language in verified.chain(labels.get("language").cloned().flatten()) {
        if !languages.contains(&language) {
            languages.push(language);
        }
    }
    let labels = labels.into_iter().filter_map(|(name, value)| Some(pair(name, value?)));
    let labels: Vec<Pair> =
        entry.category.map(|category| pair("category", category)).into_iter().chain(labels).collect();
    Voice {
        name: entry.name.unwrap_or_else(|| entry.voice_id.clone()),
        id: entry.voice_id,
        languages,
        preview_url: entry.preview_url,
        labels,
        owner: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_voices_names_the_next() {
        let body = r#"{"voices":[{"voice_id":"v1","name":"Rachel","category":"premade",
            "labels":{"accent":"american","gender":null,"language":"en"},"preview_url":"https://x.example/p.mp3",
            "verified_languages":[{"language":"en","locale":"en-US"},{"language":"de","locale":null}]},
            {"voice_id":"v2","name":null,"labels":null}],"has_more":true,"total_count":3,"next_page_token":"t"}"#;
        let page = page(body.as_bytes()).unwrap();
        assert_eq!(page.next.as_deref(), Some("t"));
        let [rachel, plain] = page.voices.as_slice() else { panic!("two voices") };
        assert_eq!(rachel.languages, ["en-US", "de", "en"]);
        let labels: Vec<_> =
            rachel.labels.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect();
        assert_eq!(labels, [("category", "premade"), ("accent", "american"), ("language", "en")]);
        assert_eq!((plain.name.as_str(), plain.labels.len()), ("v2", 0));
    }

    #[test]
    fn the_last_page_names_no_next() {
        assert!(page(br#"{"voices":[],"has_more":false,"next_page_token":"t"}"#).unwrap().next.is_none());
        assert_eq!(page(b"[]").unwrap_err().code, "bad-response");
    }
}
