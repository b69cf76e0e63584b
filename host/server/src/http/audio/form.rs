//! The form of a transcription request.

use std::collections::BTreeMap;

use atelier_domain::generation::transcription::TranscriptionRequest;
use atelier_domain::generation::{Json, MediaSource, empty_object};
use bytes::Bytes;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::http::chat_completions::options::Options;
use crate::http::form::{Field, Form};
use crate::http::input::{self, Kind};
use crate::http::openapi::{form_file, words};
use crate::http::{ApiError, Call};

/// Members that are lists and that only some providers take.
const LISTS: [&str; 4] = ["keywords", "languages", "known_speaker_names", "known_speaker_references"];
const LIST_ITEMS_MAX: usize = 100;

/// How the transcript is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    #[default]
    Json,
    Text,
    Srt,
    Vtt,
    VerboseJson,
    /// Segments with who speaks.
    DiarizedJson,
}

#[derive(Debug)]
pub(super) struct Wanted {
    pub model: String,
    pub format: Format,
    pub request: TranscriptionRequest,
    pub options: Options,
}

/// The fields of a transcription's form.
// As `Fields::add` reads them.
#[derive(ToSchema)]
#[schema(as = TranscriptionForm)]
#[expect(dead_code, reason = "the schema of what is read field by field")]
pub(super) struct FormSchema {
    /// The audio, of a kind that its content shows.
    #[schema(schema_with = form_file)]
    file: Bytes,
    /// `instance/model`, or an alias of the operator's.
    model: String,
    /// ISO 639-1.
    language: Option<String>,
    prompt: Option<String>,
    /// Absent: `json`.
    #[schema(inline, value_type = Option<FormatWord>)]
    response_format: Option<String>,
    #[schema(minimum = 0, maximum = 1)]
    temperature: Option<f64>,
    #[schema(rename = "timestamp_granularities[]", inline, value_type = Option<Vec<GranularityWord>>)]
    timestamp_granularities: Option<String>,
    /// Answer with events as words are found.
    stream: Option<bool>,
    /// How likely each token was.
    #[schema(rename = "include[]", inline, value_type = Option<Vec<IncludeWord>>)]
    include: Option<String>,
    /// How the sound is cut: a word of the provider's, or a JSON object.
    chunking_strategy: Option<String>,
    #[schema(rename = "chunking_strategy[type]")]
    chunking_type: Option<String>,
    #[schema(rename = "chunking_strategy[prefix_padding_ms]")]
    chunking_prefix_padding_ms: Option<u64>,
    #[schema(rename = "chunking_strategy[silence_duration_ms]")]
    chunking_silence_duration_ms: Option<u64>,
    #[schema(rename = "chunking_strategy[threshold]")]
    chunking_threshold: Option<f64>,
    /// Words to expect, where the model takes them.
    #[schema(rename = "keywords[]", max_items = 100)]
    keywords: Option<Vec<String>>,
    /// Languages to expect, where the model takes several.
    #[schema(rename = "languages[]", max_items = 100)]
    languages: Option<Vec<String>>,
    /// Who may speak, where the model tells speakers apart.
    #[schema(rename = "known_speaker_names[]", max_items = 100)]
    known_speaker_names: Option<Vec<String>>,
    /// How they sound, as data URLs in the order of their names.
    #[schema(rename = "known_speaker_references[]", max_items = 100)]
    known_speaker_references: Option<Vec<String>>,
    /// Ours: provider-specific options by the model's own schema, as JSON.
    options: Option<String>,
}

words! {
    FormatWord: "json" | "text" | "srt" | "vtt" | "verbose_json" | "diarized_json";
    GranularityWord: "word" | "segment";
    IncludeWord: "logprobs";
}

#[derive(Default)]
struct Fields {
    model: Option<String>,
    file: Option<(String, Bytes)>,
    language: Option<String>,
    prompt: Option<String>,
    format: Format,
    temperature: Option<f64>,
    words: bool,
    segments: bool,
    stream: bool,
    logprobs: bool,
    options: Option<Json>,
    chunking: Map<String, Value>,
    chunking_word: Option<String>,
    /// Members that are lists, by name.
    lists: BTreeMap<&'static str, Vec<String>>,
}

/// Reads the form.
pub(super) async fn read(call: &mut Call, translate: bool) -> Result<Wanted, ApiError> {
    let mut form = Form::open(call)?;
    let mut fields = Fields::default();
    while let Some(field) = form.next(&["file"]).await? {
        fields.add(field)?;
    }
    fields.finish(translate).await
}

impl Fields {
    fn add(&mut self, field: Field) -> Result<(), ApiError> {
        let text = |field: &Field| field.text().map(|text| Some(text.to_owned()));
        match field.name.as_str() {
            "file" => self.file = Some((field.file_name.unwrap_or_else(|| "audio".to_owned()), field.bytes)),
            "model" => self.model = text(&field)?,
            "language" => self.language = text(&field)?,
            "prompt" => self.prompt = text(&field)?,
            "response_format" => self.format = format(field.text()?)?,
            "temperature" => {
                let temperature: f64 = field.parse("a number from 0 to 1")?;
                if !(0.0..=1.0).contains(&temperature) {
                    return Err(ApiError::invalid("temperature", "must be from 0 to 1"));
                }
                self.temperature = Some(temperature);
            }
            "timestamp_granularities" => match field.text()? {
                "word" => self.words = true,
                "segment" => self.segments = true,
                _ => {
                    return Err(ApiError::invalid(
                        "timestamp_granularities",
                        "must be \"word\" or \"segment\"",
                    ));
                }
            },
            "stream" => self.stream = field.parse("true or false")?,
            "include" => match field.text()? {
                "logprobs" => self.logprobs = true,
                _ => return Err(ApiError::invalid("include", "only \"logprobs\" can be included")),
            },
            "chunking_strategy" => self.chunking_word = text(&field)?,
            "options" => {
                let options = serde_json::from_str(field.text()?);
                self.options =
                    Some(options.map_err(|error| ApiError::invalid("options", error.to_string()))?);
            }
            name => return self.add_nested(LISTS.iter().find(|known| **known == name).copied(), &field),
        }
        Ok(())
    }

    /// A member of a list, or of an object that client libraries write as `name[member]`.
    fn add_nested(&mut self, list: Option<&'static str>, field: &Field) -> Result<(), ApiError> {
        if let Some(name) = list {
            let items = self.lists.entry(name).or_default();
            if items.len() == LIST_ITEMS_MAX {
                return Err(ApiError::invalid(name, format!("at most {LIST_ITEMS_MAX} entries")));
            }
            items.push(field.text()?.to_owned());
            return Ok(());
        }
        let member = field.name.strip_prefix("chunking_strategy[").and_then(|rest| rest.strip_suffix(']'));
        match member {
            Some(member @ ("type" | "prefix_padding_ms" | "silence_duration_ms" | "threshold")) => {
                let value = match member {
                    "type" => Value::from(field.text()?),
                    "threshold" => serde_json::Number::from_f64(field.parse("a number")?)
                        .map(Value::Number)
                        .ok_or_else(|| ApiError::invalid(&field.name, "must be a number"))?,
                    _ => Value::from(field.parse::<u64>("a whole number")?),
                };
                self.chunking.insert(member.to_owned(), value);
                Ok(())
            }
            _ => Err(ApiError::UnknownParameter { param: field.name.clone() }),
        }
    }

    /// What the provider contract has no field for.
    fn options(&mut self) -> Result<Options, ApiError> {
        let mut options = Options::of(self.options.take());
        let raw = |value: &Value| {
            serde_json::value::to_raw_value(value).map_err(|error| ApiError::bug(error.to_string()))
        };
        for (name, items) in std::mem::take(&mut self.lists) {
            options.want(name, Some(&raw(&Value::from(items))?));
        }
        let chunking = match (self.chunking_word.take(), std::mem::take(&mut self.chunking)) {
            (None, members) if members.is_empty() => return Ok(options),
            (None, members) => Value::Object(members),
            // A JSON object, for those who write forms by hand.
            (Some(text), _) if text.starts_with('{') => serde_json::from_str(&text)
                .map_err(|error| ApiError::invalid("chunking_strategy", error.to_string()))?,
            (Some(word), _) => Value::from(word),
        };
        options.want("chunking_strategy", Some(&raw(&chunking)?));
        Ok(options)
    }

    async fn finish(mut self, translate: bool) -> Result<Wanted, ApiError> {
        let missing = |param: &str| ApiError::MissingParameter { param: param.to_owned() };
        let options = self.options()?;
        let model = self.model.ok_or_else(|| missing("model"))?;
        let (filename, bytes) = self.file.ok_or_else(|| missing("file"))?;
        // Hashing 25 MiB would hold up an async thread.
        let typed = tokio::task::spawn_blocking(move || input::media("file", bytes, Kind::Audio, None));
        let media = typed.await.map_err(|error| ApiError::bug(error.to_string()))??;
        let MediaSource::Blob(audio) = media.source else {
            return Err(ApiError::bug("an uploaded file is a blob"));
        };
        let speakers = self.format == Format::DiarizedJson;
        let wants_segments =
            speakers || matches!(self.format, Format::Srt | Format::Vtt | Format::VerboseJson);
        let request = TranscriptionRequest {
            model: String::new(),
            audio,
            filename,
            language: self.language,
            prompt: self.prompt,
            temperature: self.temperature,
            translate,
            word_times: self.words,
            segment_times: self.segments || wants_segments,
            speakers,
            logprobs: self.logprobs,
            stream: self.stream,
            options: empty_object(),
        };
        Ok(Wanted { model, format: self.format, request, options })
    }
}

fn format(text: &str) -> Result<Format, ApiError> {
    match text {
        "json" => Ok(Format::Json),
        "text" => Ok(Format::Text),
        "srt" => Ok(Format::Srt),
        "vtt" => Ok(Format::Vtt),
        "verbose_json" => Ok(Format::VerboseJson),
        "diarized_json" => Ok(Format::DiarizedJson),
        _ => {
            let known = "must be json, text, srt, vtt, verbose_json or diarized_json";
            Err(ApiError::invalid("response_format", known))
        }
    }
}
