//! Speech models as `GET /v1/models` lists them, and the others, which no list has
//! (<https://elevenlabs.io/docs/overview/models>).

use atelier_plugin_sdk::catalog::{Limits, Model, Status};
use atelier_plugin_sdk::{Failure, json};
use serde::Deserialize;

/// More models than this in one list are left out.
const MODELS_MAX: usize = 500;

const SPEECH_OPTIONS: &str = r#"{"type":"object","properties":{"output_format":{"type":"string","description":"An exact format, e.g. mp3_44100_192"},"seed":{"type":"integer","minimum":0,"maximum":4294967295},"voice_settings":{"type":"object","properties":{"stability":{"type":"number","minimum":0,"maximum":1},"similarity_boost":{"type":"number","minimum":0,"maximum":1},"style":{"type":"number","minimum":0,"maximum":1},"use_speaker_boost":{"type":"boolean"},"speed":{"type":"number"}}},"previous_text":{"type":"string"},"next_text":{"type":"string"},"apply_text_normalization":{"enum":["auto","on","off"]},"pronunciation_dictionary_locators":{"type":"array","maxItems":3}}}"#;
const SOUND_OPTIONS: &str = r#"{"type":"object","properties":{"prompt_influence":{"type":"number","minimum":0,"maximum":1},"loop":{"type":"boolean"}}}"#;
const TRANSCRIPTION_OPTIONS: &str = r#"{"type":"object","properties":{"diarize":{"type":"boolean"},"num_speakers":{"type":"integer","minimum":1,"maximum":32},"tag_audio_events":{"type":"boolean"},"file_format":{"enum":["pcm_s16le_16","other"]},"seed":{"type":"integer"}}}"#;

#[derive(Deserialize)]
struct Entry {
    model_id: String,
    name: Option<String>,
    description: Option<String>,
    #[serde(default)]
    can_do_text_to_speech: bool,
    maximum_text_length_per_request: Option<u64>,
}

/// What the documentation names.
pub fn known() -> Vec<Model> {
    let speech = [
        ("eleven_v3", "Eleven v3", 5_000),
        ("eleven_multilingual_v2", "Eleven Multilingual v2", 10_000),
        ("eleven_flash_v2_5", "Eleven Flash v2.5", 40_000),
        ("eleven_flash_v2", "Eleven Flash v2", 30_000),
    ];
    let speech = speech.into_iter().map(|(id, name, characters)| {
        let mut model = model(id, name, "speech", SPEECH_OPTIONS);
        model.limits.input_characters = Some(characters);
        model
    });
    speech.chain(unlisted()).collect()
}

/// The models of a list's body, and those that no list has.
pub fn listed(body: &[u8]) -> Result<Vec<Model>, Failure> {
    let entries: Vec<Entry> = json::parse(body)?;
    let speech = entries.into_iter().take(MODELS_MAX).filter(|entry| entry.can_do_text_to_speech);
    Ok(speech.map(described).chain(unlisted()).collect())
}

fn described(entry: Entry) -> Model {
    let name = entry.name.filter(|name| !name.is_empty());
    let mut model =
        model(&entry.model_id, name.as_deref().unwrap_or(&entry.model_id), "speech", SPEECH_OPTIONS);
    model.description = entry.description.filter(|text| !text.is_empty());
    model.limits.input_characters = entry.maximum_text_length_per_request;
    model
}

fn unlisted() -> impl Iterator<Item = Model> {
    let transcription = |id: &str, name: &str| model(id, name, "transcription", TRANSCRIPTION_OPTIONS);
    [
        model("eleven_text_to_sound_v2", "Eleven Sound Effects v2", "sound-effect", SOUND_OPTIONS),
        transcription("scribe_v1", "Scribe v1"),
        transcription("scribe_v2", "Scribe v2"),
    ]
    .into_iter()
}

fn model(id: &str, name: &str, task: &str, options: &str) -> Model {
    Model {
        id: id.to_owned(),
        name: name.to_owned(),
        description: None,
        status: Status::Available,
        tasks: vec![task.to_owned()],
        input_modalities: Vec::new(),
        features: if task == "speech" { vec!["streaming".to_owned()] } else { Vec::new() },
        limits: Limits {
            context_tokens: None,
            output_tokens: None,
            input_characters: None,
            batch: None,
            media_bytes: None,
        },
        options_schema: Some(options.to_owned()),
        prices: Vec::new(),
        owner: None,
        created: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_models_are_listed_with_their_limits_beside_those_that_no_list_has() {
        let body = r#"[
            {"model_id":"eleven_multilingual_v2","name":"Eleven Multilingual v2","can_do_text_to_speech":true,"description":"d","maximum_text_length_per_request":10000,"languages":[{"language_id":"en","name":"English"}]},
            {"model_id":"eleven_english_sts_v2","name":"Voice changer","can_do_text_to_speech":false}]"#;
        let models = listed(body.as_bytes()).unwrap();
        let ids: Vec<_> = models.iter().map(|model| (model.id.as_str(), model.tasks[0].as_str())).collect();
        assert_eq!(
            ids,
            [
                ("eleven_multilingual_v2", "speech"),
                ("eleven_text_to_sound_v2", "sound-effect"),
                ("scribe_v1", "transcription"),
                ("scribe_v2", "transcription"),
            ]
        );
        assert_eq!(models[0].limits.input_characters, Some(10_000));
    }

    #[test]
    fn known_models_have_schemas_that_are_json() {
        for model in known() {
            let schema: serde_json::Value = serde_json::from_str(&model.options_schema.unwrap()).unwrap();
            assert_eq!(schema["type"], "object", "{}", model.id);
        }
    }

    #[test]
    fn what_is_no_list_is_a_bad_response() {
        assert_eq!(listed(b"{}").unwrap_err().code, "bad-response");
    }
}
