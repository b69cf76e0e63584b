//! The provider's own list, enriched with what is known.

use super::known;
use atelier_plugin_sdk::catalog::{Limits, Model, Status};
use atelier_plugin_sdk::{Failure, json};
use serde::Deserialize;

/// More models than this in one list are left out.
const MODELS_MAX: usize = 10_000;

#[derive(Deserialize)]
struct List {
    data: Vec<Entry>,
}

/// An entry, with the fields that compatible servers add.
#[derive(Deserialize)]
struct Entry {
    id: String,
    created: Option<f64>,
    name: Option<String>,
    description: Option<String>,
    context_length: Option<u64>,
    context_window: Option<u64>,
    max_model_len: Option<u64>,
    max_context_length: Option<u64>,
    max_output_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
}

/// The models of a list's body; those that this plugin has no way to use are left out.
pub fn models(body: &[u8], official: bool) -> Result<Vec<Model>, Failure> {
    let list: List = json::parse(body)?;
    let models = list.data.into_iter().take(MODELS_MAX).map(|entry| described(entry, official));
    Ok(models.filter(|model| !model.tasks.is_empty()).collect())
}

/// The model of a single entry's body.
pub fn model(body: &[u8], official: bool) -> Result<Model, Failure> {
    let model = described(json::parse(body)?, official);
    if model.tasks.is_empty() {
        return Err(Failure::unsupported("this plugin has no way to use this model"));
    }
    Ok(model)
}

fn described(entry: Entry, official: bool) -> Model {
    let known = if official { known::find(&entry.id) } else { None };
    let mut model = known.unwrap_or_else(|| guessed(&entry.id, official));
    model.id = entry.id;
    if let Some(name) = entry.name.filter(|name| !name.is_empty()) {
        model.name = name;
    }
    model.description = entry.description.or(model.description);
    model.created = entry.created.unwrap_or(0.0) as u64;
    let context =
        entry.context_length.or(entry.context_window).or(entry.max_model_len).or(entry.max_context_length);
    model.limits.context_tokens = context.or(model.limits.context_tokens);
    let output = entry.max_output_tokens.or(entry.max_completion_tokens);
    model.limits.output_tokens = output.or(model.limits.output_tokens);
    model
}

/// What an unknown model is for, as far as its id tells; most are for chat.
fn guessed(id: &str, official: bool) -> Model {
    let lower = id.to_ascii_lowercase();
    let has = |word: &str| lower.contains(word);
    // Models of OpenAI's that speak another API only: realtime, plain completions, responses.
    let elsewhere = has("realtime")
        || (official
            && ["instruct", "davinci", "babbage", "-pro", "codex", "deep-research", "computer-use"]
                .into_iter()
                .any(has));
    let tasks: &[&str] = if elsewhere {
        &[]
    } else if has("embed") {
        &["embedding"]
    } else if has("moderation") {
        &["moderation"]
    } else if has("whisper") {
        &["transcription", "translation"]
    } else if has("transcribe") {
        &["transcription"]
    } else if has("tts") {
        &["speech"]
    } else if has("sora") {
        &["video-generation", "video-remix"]
    } else if has("gpt-image") || has("chatgpt-image") {
        &["image-generation", "image-edit"]
    } else if has("dall-e-2") {
        &["image-generation", "image-edit", "image-variation"]
    } else if has("dall-e") {
        &["image-generation"]
    } else {
        &["chat"]
    };
    let features: &[&str] = if tasks == ["chat"] { &["streaming"] } else { &[] };
    Model {
        id: id.to_owned(),
        name: id.to_owned(),
        description: None,
        status: Status::Available,
        tasks: known::words(tasks),
        input_modalities: Vec::new(),
        features: known::words(features),
        limits: Limits {
            context_tokens: None,
            output_tokens: None,
            input_characters: None,
            batch: None,
            media_bytes: None,
        },
        options_schema: (!tasks.is_empty()).then(|| known::OPEN_OPTIONS.to_owned()),
        prices: Vec::new(),
        owner: None,
        created: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"object":"list","data":[
        {"id":"gpt-4o-2024-08-06","object":"model","created":1722814719,"owned_by":"system"},
        {"id":"text-embedding-3-small","object":"model","created":1705948997,"owned_by":"system"},
        {"id":"gpt-4o-realtime-preview","object":"model","created":1727659998,"owned_by":"system"},
        {"id":"davinci-002","object":"model","created":1692634301,"owned_by":"system"},
        {"id":"ft:gpt-4o-mini-2024-07-18:acme::abc","object":"model","created":1727659998,"owned_by":"acme"},
        {"id":"gpt-99","object":"model","created":1999999999,"owned_by":"system"}]}"#;

    #[test]
    fn openai_s_list_is_enriched_and_unusable_models_are_left_out() {
        let models = models(LIST.as_bytes(), true).unwrap();
        let ids: Vec<_> = models.iter().map(|model| model.id.as_str()).collect();
        assert_eq!(
            ids,
            ["gpt-4o-2024-08-06", "text-embedding-3-small", "ft:gpt-4o-mini-2024-07-18:acme::abc", "gpt-99"]
        );
        assert_eq!(models[0].limits.context_tokens, Some(128_000));
        assert_eq!(models[0].created, 1_722_814_719);
        assert_eq!(models[1].tasks, ["embedding"]);
        assert_eq!(models[2].limits.output_tokens, Some(16_384));
        assert!(models[2].prices.is_empty(), "a fine-tune costs more than its base");
        assert_eq!(
            (models[3].tasks.as_slice(), models[3].limits.context_tokens),
            (&["chat".to_owned()][..], None)
        );
    }

    #[test]
    fn a_compatible_server_s_own_fields_are_kept_and_nothing_of_openai_s_is_assumed() {
        let body = r#"{"data":[
            {"id":"gpt-4o","context_length":8192,"name":"Not that one","created":1.7e9},
            {"id":"llama-3.1-8b","context_window":131072,"max_completion_tokens":8192},
            {"id":"org/qwen3","max_model_len":40960},{"id":"BAAI/bge-embed"}]}"#;
        let models = models(body.as_bytes(), false).unwrap();
        assert_eq!(models[0].limits.context_tokens, Some(8192));
        assert_eq!((models[0].name.as_str(), models[0].created), ("Not that one", 1_700_000_000));
        assert!(models[0].prices.is_empty() && models[0].limits.output_tokens.is_none());
        assert_eq!(
            (models[1].limits.context_tokens, models[1].limits.output_tokens),
            (Some(131_072), Some(8192))
        );
        assert_eq!(models[2].limits.context_tokens, Some(40_960));
        assert_eq!(models[3].tasks, ["embedding"]);
    }

    #[test]
    fn what_is_no_list_is_a_bad_response() {
        assert_eq!(models(b"<html>", false).unwrap_err().code, "bad-response");
        assert_eq!(models(b"{\"models\":[]}", false).unwrap_err().code, "bad-response");
    }
}
