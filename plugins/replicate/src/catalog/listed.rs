//! The provider's own description of a model, and what it tells of its use.

use crate::id::ModelId;
use atelier_plugin_sdk::catalog::{Limits, Model, ModelPage, Status};
use atelier_plugin_sdk::{Failure, json};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::UNIX_EPOCH;

/// The largest schema of options that is published, in bytes.
const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// More models than this in one page are left out.
const MODELS_MAX: usize = 500;

#[derive(Deserialize)]
struct Page {
    results: Vec<Entry>,
    /// The address of the next page.
    next: Option<String>,
}

#[derive(Deserialize)]
struct Collection {
    models: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    owner: String,
    name: String,
    description: Option<String>,
    is_official: Option<bool>,
    latest_version: Option<Version>,
}

#[derive(Deserialize)]
struct Version {
    id: Option<String>,
    created_at: Option<String>,
    openapi_schema: Option<Value>,
}

/// A page of models and the cursor of the next.
pub fn page(body: &[u8]) -> Result<(Vec<Model>, Option<String>), Failure> {
    let page: Page = json::parse(body)?;
    Ok((usable(page.results), page.next.as_deref().and_then(cursor)))
}

/// The models of a collection.
pub fn collection(body: &[u8]) -> Result<ModelPage, Failure> {
    Ok(ModelPage { models: usable(json::parse::<Collection>(body)?.models), next: None })
}

/// The model of a single entry's body, of a version if there is one.
pub fn model(body: &[u8], id: &str, version: Option<&[u8]>) -> Result<Model, Failure> {
    let mut entry: Entry = json::parse(body)?;
    if let Some(version) = version {
        entry.latest_version = Some(json::parse(version)?);
    }
    let model = Model { id: id.to_owned(), ..described(entry) };
    if model.tasks.is_empty() {
        return Err(Failure::unsupported("this plugin has no way to use this model: it makes no files"));
    }
    Ok(model)
}

fn usable(entries: Vec<Entry>) -> Vec<Model> {
    let well_named = |entry: &Entry| ModelId::parse(&[&entry.owner, "/", &entry.name].concat()).is_ok();
    let models = entries.into_iter().take(MODELS_MAX).filter(well_named).map(described);
    models.filter(|model| !model.tasks.is_empty()).collect()
}

/// The value of `cursor` in an address, unescaped by the provider's next answer alone.
fn cursor(address: &str) -> Option<String> {
    let (_, query) = address.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix("cursor="))?;
    unescaped(value)
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

fn described(entry: Entry) -> Model {
    let version =
        entry.latest_version.unwrap_or(Version { id: None, created_at: None, openapi_schema: None });
    let schemas = version.openapi_schema.as_ref().and_then(|openapi| openapi.pointer("/components/schemas"));
    let schemas = schemas.and_then(Value::as_object);
    let inputs = schemas.and_then(|schemas| schemas.get("Input")?.get("properties")?.as_object());
    let makes_files = schemas.and_then(|schemas| schemas.get("Output")).is_none_or(makes_files);
    let description = entry.description.unwrap_or_default();
    let words = [&entry.name, " ", &description].concat().to_ascii_lowercase();
    let has = |name: &str| inputs.is_some_and(|inputs| inputs.keys().any(|input| input.contains(name)));
    // The names under which `media` writes a video.
    let takes_video = ["video", "input_video", "video_url", "video_path"]
        .into_iter()
        .any(|name| inputs.is_some_and(|inputs| inputs.contains_key(name)));
    let makes = if makes_files { tasks(&words, has("prompt"), has("image"), takes_video) } else { &[] };
    let trains = schemas.is_some_and(|schemas| schemas.contains_key("TrainingInput"));
    let tasks = makes.iter().copied().chain(trains.then_some("training"));
    let name = [&entry.owner, "/", &entry.name].concat();
    let id = match version.id.filter(|_| entry.is_official == Some(false)) {
        Some(version) => [&name, ":", &version].concat(),
        None => name.clone(),
    };
    Model {
        id,
        name,
        description: Some(description).filter(|text| !text.is_empty()),
        status: Status::Available,
        tasks: tasks.map(str::to_owned).collect(),
        input_modalities: Vec::new(),
        features: has("seed").then(|| "seed".to_owned()).into_iter().collect(),
        limits: Limits {
            context_tokens: None,
            output_tokens: None,
            input_characters: None,
            batch: None,
            media_bytes: None,
        },
        options_schema: Some(options_schema(schemas)),
        prices: Vec::new(),
        owner: None,
        created: version.created_at.as_deref().and_then(unix_seconds).unwrap_or(0),
    }
}

/// Whether an output's schema has an address in it.
fn makes_files(output: &Value) -> bool {
    match output {
        Value::Object(members) => {
            members.get("format").is_some_and(|format| format == "uri") || members.values().any(makes_files)
        }
        Value::Array(items) => items.iter().any(makes_files),
        _ => false,
    }
}

/// What a model that makes files is for, as far as its words and inputs tell.
fn tasks(words: &str, has_prompt: bool, has_image: bool, has_video: bool) -> &'static [&'static str] {
    let says = |list: &[&str]| list.iter().any(|word| words.contains(word));
    if says(&["upscal", "super-resolution", "super resolution", "esrgan"]) {
        &["image-upscale"]
    } else if says(&["video"]) {
        if has_prompt && has_video { &["video-generation", "video-remix"] } else { &["video-generation"] }
    } else if says(&["music", "song"]) {
        &["music"]
    } else if says(&["sound", "audio", "speech", "voice", "tts"]) {
        &["sound-effect"]
    } else {
        match (has_prompt, has_image) {
            (true, false) => &["image-generation"],
            (true, true) => &["image-generation", "image-edit"],
            (false, true) => &["image-edit"],
            (false, false) => &[],
        }
    }
}

/// The schema of a model's inputs as one of options: nothing is required, as the request's own fields fill inputs too. What it
/// refers to stays at its place, so that references hold.
fn options_schema(schemas: Option<&Map<String, Value>>) -> String {
    let open = || json!({"type": "object"}).to_string();
    let Some(schemas) = schemas else { return open() };
    let Some(Value::Object(mut input)) = schemas.get("Input").cloned() else { return open() };
    input.remove("required");
    let unrelated =
        ["Input", "Output", "TrainingInput", "TrainingOutput", "HTTPValidationError", "ValidationError"];
    let referred: Map<String, Value> = schemas
        .iter()
        .filter(|(name, _)| !unrelated.contains(&name.as_str()) && !name.starts_with("Prediction"))
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect();
    if !referred.is_empty() {
        input.insert("components".to_owned(), json!({"schemas": referred}));
    }
    let text = Value::Object(input).to_string();
    if text.len() > SCHEMA_BYTES_MAX { open() } else { text }
}

fn unix_seconds(time: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339_weak(time).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLUX: &str = r##"{"url":"https://replicate.com/black-forest-labs/flux","owner":"black-forest-labs","name":"flux","description":"Paints pictures","is_official":true,
        "latest_version":{"id":"5c7d","created_at":"2026-01-01T00:00:00.000000Z","openapi_schema":{"components":{"schemas":{
            "Input":{"type":"object","title":"Input","required":["prompt"],"properties":{"prompt":{"type":"string"},"seed":{"type":"integer"},"image_prompt":{"type":"string","format":"uri"},"output_format":{"allOf":[{"$ref":"#/components/schemas/output_format"}]}}},
            "Output":{"type":"array","items":{"type":"string","format":"uri"}},
            "output_format":{"enum":["webp","png"],"type":"string"},
            "PredictionRequest":{"type":"object"}}}}}}"##;
    const CHAT: &str = r#"{"owner":"meta","name":"llama","description":"Talks","latest_version":{"id":"1","openapi_schema":{"components":{"schemas":{"Input":{"properties":{"prompt":{}}},"Output":{"type":"array","items":{"type":"string"}}}}}}}"#;

    #[test]
    fn a_model_is_described_by_its_schema() {
        let model = model(FLUX.as_bytes(), "black-forest-labs/flux", None).unwrap();
        assert_eq!(model.tasks, ["image-generation", "image-edit"]);
        assert_eq!((model.created, model.features.as_slice()), (1_767_225_600, &["seed".to_owned()][..]));
        let schema: Value = serde_json::from_str(&model.options_schema.unwrap()).unwrap();
        assert!(schema.get("required").is_none());
        assert_eq!(schema["properties"]["seed"]["type"], "integer");
        let referred = schema["properties"]["output_format"]["allOf"][0]["$ref"].as_str().unwrap();
        assert_eq!(schema.pointer(referred.trim_start_matches('#')).unwrap()["enum"][0], "webp");
        assert!(schema.pointer("/components/schemas/PredictionRequest").is_none());
    }

    #[test]
    fn a_page_keeps_what_is_usable_and_names_the_next() {
        let community = FLUX.replace("\"is_official\":true", "\"is_official\":false");
        let body = format!(
            r#"{{"results":[{FLUX},{CHAT},{community}],"next":"https://api.replicate.com/v1/models?cursor=cD0yMDI%3D&x=1","previous":null}}"#
        );
        let (models, next) = page(body.as_bytes()).unwrap();
        let ids: Vec<_> = models.iter().map(|model| model.id.as_str()).collect();
        assert_eq!(ids, ["black-forest-labs/flux", "black-forest-labs/flux:5c7d"]);
        assert_eq!(next.as_deref(), Some("cD0yMDI="));
        assert_eq!(model(CHAT.as_bytes(), "meta/llama", None).unwrap_err().code, "unsupported");
    }

    #[test]
    fn a_version_that_can_be_trained_says_so() {
        let trainer = FLUX.replace("\"PredictionRequest\"", "\"TrainingInput\"");
        let model = model(trainer.as_bytes(), "black-forest-labs/flux", None).unwrap();
        assert_eq!(model.tasks, ["image-generation", "image-edit", "training"]);
    }

    #[test]
    fn tasks_follow_the_words_and_the_inputs() {
        assert_eq!(tasks("real-esrgan", false, true, false), ["image-upscale"]);
        assert_eq!(tasks("makes a video from an image", true, true, false), ["video-generation"]);
        assert_eq!(tasks("edits a video", true, false, true), ["video-generation", "video-remix"]);
        assert_eq!(tasks("music of any kind", true, false, false), ["music"]);
        assert_eq!(tasks("removes backgrounds", false, true, false), ["image-edit"]);
        assert!(tasks("counts", false, false, false).is_empty());
    }

    #[test]
    fn a_collection_is_one_page() {
        let page = collection(format!(r#"{{"name":"c","slug":"c","models":[{FLUX}]}}"#).as_bytes()).unwrap();
        assert!(page.models.len() == 1 && page.next.is_none());
        assert_eq!(collection(b"{}").err().unwrap().code, "bad-response");
    }

    #[test]
    fn an_oversized_schema_is_replaced_by_an_open_one() {
        let large = json!({"Input": {"description": "x".repeat(SCHEMA_BYTES_MAX)}});
        assert_eq!(options_schema(large.as_object()), r#"{"type":"object"}"#);
    }
}
