//! `POST /v1/audio/transcriptions` and `POST /v1/audio/translations`.

use atelier_domain::generation::transcription::{Transcript, TranscriptionEvent};
use atelier_domain::generation::usage::TokenTotals;
use atelier_domain::model::Task;
use atelier_service::ServiceError;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::form::{self, Format};
use super::subtitles;
use crate::http::openapi::{Operation, Tag, words};
use crate::http::sse::{self, Script};
use crate::http::{ApiError, Call, Dialect, Reply, answer};

/// Writes down what is spoken, in its own language.
pub(in crate::http) async fn create(call: Call) -> Result<Reply, ApiError> {
    handle(call, false).await
}

/// Writes down what is spoken, in English.
pub(in crate::http) async fn translate(call: Call) -> Result<Reply, ApiError> {
    handle(call, true).await
}

async fn handle(mut call: Call, translate: bool) -> Result<Reply, ApiError> {
    let wanted = form::read(&mut call, translate).await?;
    let task = if translate { Task::Translation } else { Task::Transcription };
    let caller = call.caller()?;
    let resolved = call.app.generations.resolve(caller, &wanted.model, task).await?;
    let instance = resolved.model.id.instance().to_owned();
    let is_stream = wanted.request.stream;
    let mut live = call.app.generations.transcribe(caller, resolved, wanted.request)?;
    if is_stream {
        let live = live.begin().await?;
        return Ok(sse::stream(live, Pieces, call.request_id.clone(), &call.app.config.server));
    }
    let mut whole = None;
    while let Some(batch) = live.next().await {
        for event in batch? {
            match event {
                TranscriptionEvent::Text(_) => {}
                TranscriptionEvent::Finished(transcript) => whole = Some(transcript),
            }
        }
    }
    let transcript = whole.ok_or(ServiceError::AnswerBrokenOff { instance })?;
    Ok(written(&transcript, wanted.format, translate)?.after(live.elapsed()))
}

#[derive(Serialize, ToSchema)]
#[schema(as = VerboseTranscript)]
struct Verbose<'a> {
    #[schema(inline, value_type = TaskWord)]
    task: &'static str,
    /// Empty where it is not known.
    language: &'a str,
    /// Seconds.
    duration: f64,
    text: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    words: Vec<Word<'a>>,
    segments: Vec<Segment<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TranscriptWord)]
struct Word<'a> {
    word: &'a str,
    start: f64,
    end: f64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TranscriptSegment)]
struct Segment<'a> {
    id: usize,
    start: f64,
    end: f64,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avg_logprob: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_speech_prob: Option<f32>,
}

/// A transcript and nothing else.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Transcript)]
struct Plain<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TranscriptUsage)]
struct Usage {
    #[schema(inline, value_type = TokensWord)]
    r#type: &'static str,
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
}

/// A transcript in JSON, of the form that the request chose.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = AnyTranscript)]
enum AnyTranscript<'a> {
    Verbose(Verbose<'a>),
    Plain(Plain<'a>),
}

#[derive(Serialize, ToSchema)]
#[serde(tag = "type")]
#[schema(as = TranscriptEvent)]
enum Event<'a> {
    #[serde(rename = "transcript.text.delta")]
    Delta { delta: &'a str },
    #[serde(rename = "transcript.text.done")]
    Done { text: &'a str },
}

words! {
    TaskWord: "transcribe" | "translate";
    TokensWord: "tokens";
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn written(transcript: &Transcript, format: Format, translate: bool) -> Result<Reply, ApiError> {
    let plain = |text: String, content_type: &'static str| {
        Ok(answer::bytes(StatusCode::OK, HeaderValue::from_static(content_type), Bytes::from(text)).into())
    };
    match format {
        Format::Json => {
            let TokenTotals { input, output, .. } = TokenTotals::of(&transcript.usage);
            let total_tokens = input + output;
            let usage = (total_tokens > 0).then_some(Usage {
                r#type: "tokens",
                input_tokens: input,
                output_tokens: output,
                total_tokens,
            });
            answer::json(&AnyTranscript::Plain(Plain { text: &transcript.text, usage }))
        }
        Format::Text => plain(format!("{}\n", transcript.text), "text/plain; charset=utf-8"),
        Format::Srt => plain(subtitles::srt(transcript), "application/x-subrip; charset=utf-8"),
        Format::Vtt => plain(subtitles::vtt(transcript), "text/vtt; charset=utf-8"),
        Format::VerboseJson => answer::json(&AnyTranscript::Verbose(verbose(transcript, translate))),
    }
}

fn verbose(transcript: &Transcript, translate: bool) -> Verbose<'_> {
    let words = transcript.words.iter().map(|word| Word {
        word: &word.text,
        start: seconds(word.start_ms),
        end: seconds(word.end_ms),
    });
    let segments = transcript.segments.iter().enumerate().map(|(id, segment)| Segment {
        id,
        start: seconds(segment.start_ms),
        end: seconds(segment.end_ms),
        text: &segment.text,
        speaker: segment.speaker.as_deref(),
        avg_logprob: segment.avg_logprob,
        no_speech_prob: segment.no_speech_probability,
    });
    Verbose {
        task: if translate { "translate" } else { "transcribe" },
        language: transcript.language.as_deref().unwrap_or(""),
        duration: seconds(transcript.duration_ms.unwrap_or(0)),
        text: &transcript.text,
        words: words.collect(),
        segments: segments.collect(),
    }
}

/// `transcript.text.delta` and `transcript.text.done`.
struct Pieces;

impl Script<TranscriptionEvent> for Pieces {
    const DIALECT: Dialect = Dialect::OpenAi;

    fn event(&mut self, event: TranscriptionEvent, out: &mut Vec<u8>) {
        match event {
            TranscriptionEvent::Text(delta) => sse::data(out, &Event::Delta { delta: &delta }),
            TranscriptionEvent::Finished(whole) => {
                sse::data(out, &Event::Done { text: &whole.text });
            }
        }
    }
    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

/// What the reference says of transcriptions.
pub(in crate::http) fn describe() -> Operation {
    described(
        "createTranscription",
        "Transcribe speech",
        "Writes down what is spoken, in its own language. `response_format` chooses JSON, text or subtitles; `stream` sends events.",
    )
}

/// What the reference says of translations.
pub(in crate::http) fn describe_translation() -> Operation {
    described(
        "createTranslation",
        "Translate speech",
        "Writes down in English what is spoken in any language.",
    )
}

fn described(id: &'static str, summary: &'static str, about: &'static str) -> Operation {
    const EVENTS: &str =
        "data: {\"type\":\"transcript.text.delta\",\"delta\":\"The tide\"}\n\ndata: [DONE]\n\n";
    let text = || ObjectBuilder::new().schema_type(Type::String);
    Operation::new(id, Tag::Audio, summary)
        .about(about)
        .takes_form::<form::FormSchema>()
        .answers::<AnyTranscript<'_>>(
            200,
            "The transcript, in the form that was chosen.",
            json!({"text": "The tide is turning."}),
        )
        .or("text/plain", text())
        .or("application/x-subrip", text())
        .or("text/vtt", text())
        .or_events::<Event<'_>>(EVENTS)
        .calls_provider()
}
