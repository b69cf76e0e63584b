//! What the suite asks a plugin for: `tests/conformance.toml`. Everything in it has a default but the model, which is then the
//! first of the plugin's own that has the task.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use atelier_domain::blob::Blob;
use atelier_domain::generation::chat::{ChatRequest, ChatRole, Function, Message, Part, Tool, ToolChoice};
use atelier_domain::generation::embedding::{EmbeddingInput, EmbeddingRequest};
use atelier_domain::generation::media::{MediaInput, MediaRequest, TrainingDataset, TrainingRequest};
use atelier_domain::generation::moderation::{ModerationInput, ModerationRequest};
use atelier_domain::generation::speech::SpeechRequest;
use atelier_domain::generation::transcription::TranscriptionRequest;
use atelier_domain::generation::{Json, Media, MediaSource};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The largest sample file, in bytes.
const SAMPLE_BYTES_MAX: u64 = 16 << 20;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Cases {
    pub instance: Instance,
    pub chat: Vec<ChatCase>,
    pub speech: Vec<SpeechCase>,
    pub transcription: Vec<TranscriptionCase>,
    pub embedding: Vec<EmbeddingCase>,
    pub moderation: Vec<ModerationCase>,
    pub media: Vec<MediaCase>,
    pub training: Vec<TrainingCase>,
    pub webhook: Vec<WebhookCase>,
    /// A model that `get-model` must know beside those that are listed.
    pub known_model: Option<String>,
}

/// How the instance under test is configured.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Instance {
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The base URL's path; else that of the manifest's `default-base-url`.
    pub base_path: Option<String>,
}

macro_rules! cases {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct $name {
            /// The provider's id; empty: the plugin's first for the task.
            pub model: String,
            /// Provider-specific options.
            pub options: serde_json::Map<String, serde_json::Value>,
            $($(#[$field_doc])* pub $field: $type,)*
        }
        impl Default for $name {
            fn default() -> Self {
                Self { model: String::new(), options: serde_json::Map::new(), $($field: $default,)* }
            }
        }
    )*};
}

cases! {
    /// A conversation.
    ChatCase {
        text: String = "one two three".to_owned(),
        /// The whole answer, if it is known.
        expect: Option<String> = None,
        /// Offers a tool, whose use is expected.
        tool: bool = false,
        /// Asks for it streamed, and at once.
        streams: bool = true,
    }
    /// A text to speak.
    SpeechCase {
        text: String = "one two three".to_owned(),
        voice: String = String::new(),
        format: String = "mp3".to_owned(),
    }
    /// A recording to write down.
    TranscriptionCase {
        /// A file beside `conformance.toml`; else a tenth of a second of silence.
        file: Option<String> = None,
        stream: bool = false,
        word_times: bool = false,
        translate: bool = false,
    }
    /// Texts to make vectors of.
    EmbeddingCase {
        inputs: Vec<String> = vec!["one two three".to_owned(), "four five six".to_owned()],
        dimensions: Option<u32> = None,
    }
    /// Texts to judge.
    ModerationCase {
        inputs: Vec<String> = vec!["one two three".to_owned()],
    }
    /// A media job.
    MediaCase {
        /// Else the model's first media task.
        task: String = String::new(),
        prompt: String = "one two three".to_owned(),
        size: Option<String> = None,
        duration_ms: Option<u64> = None,
        format: Option<String> = None,
        /// Roles for which a picture of one pixel is given.
        pictures: Vec<String> = Vec::new(),
    }
    /// A training.
    TrainingCase {
        dataset: String = "{\"prompt\":\"one\",\"completion\":\"two\"}\n".to_owned(),
        suffix: Option<String> = None,
        hyperparameters: serde_json::Map<String, serde_json::Value> = serde_json::Map::new(),
    }
    /// A callback of the provider's.
    WebhookCase {
        headers: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new(),
        query: String = String::new(),
        body: String = "{}".to_owned(),
    }
}

impl Cases {
    /// Reads a file; one that is not there has nothing but defaults.
    ///
    /// # Errors
    /// It is not what it should be.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        match fs::read_to_string(file) {
            Ok(text) => toml::from_str(&text).with_context(|| format!("{} is wrong", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }
}

fn json(members: &serde_json::Map<String, serde_json::Value>) -> Json {
    let text = serde_json::Value::Object(members.clone()).to_string();
    RawValue::from_string(text).unwrap_or_else(|_| atelier_domain::generation::empty_object())
}

fn blob(content_type: &str, name: &str, bytes: Bytes) -> Media {
    let source = MediaSource::Blob(Blob::in_memory(content_type, bytes));
    Media { name: Some(name.to_owned()), ..Media::new(source, Some(content_type.to_owned())) }
}

impl ChatCase {
    /// The request.
    pub fn request(&self, stream: bool) -> ChatRequest {
        let message =
            Message { role: ChatRole::User, parts: vec![Part::Text(self.text.clone())], name: None };
        let mut request = ChatRequest::new(&self.model, vec![message]);
        request.stream = stream;
        request.options = json(&self.options);
        if self.tool {
            let parameters =
                r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#;
            request.tools.push(Tool::Function(Function {
                name: "get_weather".to_owned(),
                description: Some("The weather in a city".to_owned()),
                parameters: RawValue::from_string(parameters.to_owned())
                    .unwrap_or_else(|_| json(&self.options)),
                strict: false,
            }));
            request.tool_choice = ToolChoice::Automatic;
        }
        request
    }
}

impl SpeechCase {
    /// The request.
    pub fn request(&self) -> SpeechRequest {
        SpeechRequest {
            model: self.model.clone(),
            text: self.text.clone(),
            voice: self.voice.clone(),
            format: Some(self.format.clone()),
            speed: None,
            instructions: None,
            language: None,
            options: json(&self.options),
        }
    }
}

impl TranscriptionCase {
    /// The request; a sample's file is looked for in `folder`.
    ///
    /// # Errors
    /// The sample cannot be read.
    pub fn request(&self, folder: &Path) -> anyhow::Result<TranscriptionRequest> {
        let (name, bytes) = match &self.file {
            None => ("silence.wav".to_owned(), silence()),
            Some(name) => {
                let path = folder.join(name);
                let size =
                    fs::metadata(&path).with_context(|| format!("no sample {}", path.display()))?.len();
                ensure!(size <= SAMPLE_BYTES_MAX, "{} is larger than 16 MiB", path.display());
                (name.clone(), Bytes::from(fs::read(&path)?))
            }
        };
        Ok(TranscriptionRequest {
            model: self.model.clone(),
            audio: Blob::in_memory("audio/wav", bytes),
            filename: name,
            language: None,
            prompt: None,
            temperature: None,
            translate: self.translate,
            word_times: self.word_times,
            segment_times: false,
            speakers: false,
            logprobs: false,
            stream: self.stream,
            options: json(&self.options),
        })
    }
}

impl EmbeddingCase {
    /// The request.
    pub fn request(&self) -> EmbeddingRequest {
        EmbeddingRequest {
            model: self.model.clone(),
            inputs: self.inputs.iter().cloned().map(EmbeddingInput::Text).collect(),
            dimensions: self.dimensions,
            end_user: None,
            options: json(&self.options),
        }
    }
}

impl ModerationCase {
    /// The request.
    pub fn request(&self) -> ModerationRequest {
        ModerationRequest {
            model: self.model.clone(),
            inputs: self.inputs.iter().cloned().map(ModerationInput::Text).collect(),
            options: json(&self.options),
        }
    }
}

impl MediaCase {
    /// The request.
    pub fn request(&self) -> MediaRequest {
        let picture = |role: &String| MediaInput {
            role: role.clone(),
            media: blob("image/png", "pixel.png", Bytes::from_static(PIXEL)),
        };
        MediaRequest {
            model: self.model.clone(),
            task: self.task.clone(),
            prompt: Some(self.prompt.clone()),
            negative_prompt: None,
            inputs: self.pictures.iter().map(picture).collect(),
            count: 1,
            size: self.size.clone(),
            aspect_ratio: None,
            duration_ms: self.duration_ms,
            seed: None,
            quality: None,
            format: self.format.clone(),
            background: None,
            previews: 0,
            end_user: None,
            options: json(&self.options),
        }
    }
}

impl TrainingCase {
    /// The request.
    pub fn request(&self) -> TrainingRequest {
        let media = blob("application/jsonl", "training.jsonl", Bytes::from(self.dataset.clone()));
        TrainingRequest {
            model: self.model.clone(),
            datasets: vec![TrainingDataset { role: "training".to_owned(), media }],
            suffix: self.suffix.clone(),
            seed: None,
            hyperparameters: json(&self.hyperparameters),
            options: json(&self.options),
        }
    }
}

/// A black pixel as PNG.
const PIXEL: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0,
    1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 10, b'I', b'D', b'A', b'T', 0x78, 0xda, 0x63, 0x60, 0,
    0, 0, 2, 0, 1, 0xe5, 0x27, 0xde, 0xfc, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// A tenth of a second at 8 kHz, 8 bits, mono (RIFF WAVE).
fn silence() -> Bytes {
    const SAMPLES: u32 = 800;
    let mut wav = Vec::with_capacity(44 + SAMPLES as usize);
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + SAMPLES).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    for (value, bytes) in [(16, 4), (1, 2), (1, 2), (8_000, 4), (8_000, 4), (1, 2), (8, 2)] {
        wav.extend_from_slice(&u32::to_le_bytes(value)[..bytes]);
    }
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&SAMPLES.to_le_bytes());
    wav.resize(44 + SAMPLES as usize, 0x80);
    wav.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_needs_to_say_nothing_and_a_misspelt_member_is_named() {
        let cases: Cases = toml::from_str("[[chat]]\n[[speech]]\nvoice = \"v\"\n").expect("valid");
        assert_eq!((cases.chat.len(), cases.speech[0].format.as_str()), (1, "mp3"));
        let error = toml::from_str::<Cases>("[[chat]]\nmodle = \"m\"\n").expect_err("misspelt").to_string();
        assert!(error.contains("modle"), "{error}");
    }

    #[test]
    fn the_sample_is_a_wave_file() {
        let wav = silence();
        assert_eq!((wav.len(), &wav[8..16], &wav[36..40]), (844, b"WAVEfmt ".as_slice(), b"data".as_slice()));
    }
}
