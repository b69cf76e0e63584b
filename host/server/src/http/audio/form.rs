//! The form of a transcription request.

use atelier_domain::generation::transcription::TranscriptionRequest;
use atelier_domain::generation::{Json, MediaSource, empty_object};
use bytes::Bytes;
use utoipa::ToSchema;

use crate::http::form::{Field, Form};
use crate::http::input::{self, Kind};
use crate::http::openapi::{form_file, words};
use crate::http::{ApiError, Call};

/// How the transcript is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    #[default]
    Json,
    Text,
    Srt,
    Vtt,
    VerboseJson,
}

#[derive(Debug)]
pub(super) struct Wanted {
    pub model: String,
    pub format: Format,
    pub request: TranscriptionRequest,
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
    temperature: Option<f32>,
    #[schema(rename = "timestamp_granularities[]", inline, value_type = Option<Vec<GranularityWord>>)]
    timestamp_granularities: Option<String>,
    /// Answer with events as words are found.
    stream: Option<bool>,
    /// Ours: provider-specific options by the model's own schema, as JSON.
    options: Option<String>,
}

words! {
    FormatWord: "json" | "text" | "srt" | "vtt" | "verbose_json";
    GranularityWord: "word" | "segment";
}

#[derive(Default)]
struct Fields {
    model: Option<String>,
    file: Option<(String, Bytes)>,
    language: Option<String>,
    prompt: Option<String>,
    format: Format,
    temperature: Option<f32>,
    words: bool,
    segments: bool,
    stream: bool,
    options: Option<Json>,
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
                let temperature: f32 = field.parse("a number from 0 to 1")?;
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
            "options" => {
                let options = serde_json::from_str(field.text()?);
                self.options =
                    Some(options.map_err(|error| ApiError::invalid("options", error.to_string()))?);
            }
            _ => return Err(ApiError::UnknownParameter { param: field.name }),
        }
        Ok(())
    }

    async fn finish(self, translate: bool) -> Result<Wanted, ApiError> {
        let missing = |param: &str| ApiError::MissingParameter { param: param.to_owned() };
        let model = self.model.ok_or_else(|| missing("model"))?;
        let (filename, bytes) = self.file.ok_or_else(|| missing("file"))?;
        // Hashing 25 MiB would hold up an async thread.
        let typed = tokio::task::spawn_blocking(move || input::media("file", bytes, Kind::Audio, None));
        let media = typed.await.map_err(|error| ApiError::bug(error.to_string()))??;
        let MediaSource::Blob(audio) = media.source else {
            return Err(ApiError::bug("an uploaded file is a blob"));
        };
        let wants_segments = matches!(self.format, Format::Srt | Format::Vtt | Format::VerboseJson);
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
            stream: self.stream,
            options: self.options.unwrap_or_else(empty_object),
        };
        Ok(Wanted { model, format: self.format, request })
    }
}

fn format(text: &str) -> Result<Format, ApiError> {
    match text {
        "json" => Ok(Format::Json),
        "text" => Ok(Format::Text),
        "srt" => Ok(Format::Srt),
        "vtt" => Ok(Format::Vtt),
        "verbose_json" => Ok(Format::VerboseJson),
        _ => Err(ApiError::invalid("response_format", "must be json, text, srt, vtt or verbose_json")),
    }
}
