//! `POST /v1/audio/transcriptions` and `POST /v1/audio/translations`.

use atelier_domain::generation::chat::TokenLogprob;
use atelier_domain::generation::transcription::{Transcript, TranscriptionEvent};
use atelier_domain::model::Task;
use atelier_service::ServiceError;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderValue, StatusCode};
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::form::{self, Format};
use super::transcript::{AnyTranscript, Event};
use super::{subtitles, transcript};
use crate::http::openapi::{Operation, Tag};
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
    let mut request = wanted.request;
    request.options = wanted.options.merge(resolved.model.options())?;
    let (is_stream, with_logprobs, with_speakers) = (request.stream, request.logprobs, request.speakers);
    let mut live = call.app.generations.transcribe(caller, resolved, request)?;
    if is_stream {
        let live = live.begin().await?;
        let pieces = Pieces { with_logprobs, with_speakers, waiting: None, segments: 0 };
        let model = live.model.clone();
        let reply = sse::stream(live, pieces, call.request_id.clone(), &call.app.config.server);
        return Ok(reply.by(model.id.as_str()));
    }
    let mut whole = None;
    while let Some(batch) = live.next().await {
        for event in batch? {
            match event {
                TranscriptionEvent::Text(_)
                | TranscriptionEvent::Logprobs(_)
                | TranscriptionEvent::Segment(_)
                | TranscriptionEvent::Other(_) => {}
                TranscriptionEvent::Finished(transcript) => whole = Some(transcript),
            }
        }
    }
    let model = &live.model.id;
    let broken_off = || ServiceError::AnswerBrokenOff { instance: model.instance().to_owned() };
    let transcript = whole.ok_or_else(broken_off)?;
    let reply = written(&transcript, wanted.format, translate, with_logprobs)?;
    Ok(reply.by(model.as_str()).after(live.elapsed()))
}

fn written(
    transcript: &Transcript,
    format: Format,
    translate: bool,
    with_logprobs: bool,
) -> Result<Reply, ApiError> {
    let plain = |text: String, content_type: &'static str| {
        Ok(answer::bytes(StatusCode::OK, HeaderValue::from_static(content_type), Bytes::from(text)).into())
    };
    let json = |view: AnyTranscript<'_>| answer::json(&view);
    match format {
        Format::Json => json(AnyTranscript::Plain(transcript::plain(transcript, with_logprobs))),
        Format::Text => plain(format!("{}\n", transcript.text), "text/plain; charset=utf-8"),
        Format::Srt => plain(subtitles::srt(transcript), "application/x-subrip; charset=utf-8"),
        Format::Vtt => plain(subtitles::vtt(transcript), "text/vtt; charset=utf-8"),
        Format::VerboseJson => json(AnyTranscript::Verbose(transcript::verbose(transcript, translate))),
        Format::DiarizedJson => json(AnyTranscript::Diarized(transcript::diarized(transcript))),
    }
}

/// `transcript.text.delta`, `transcript.text.segment` and `transcript.text.done`.
struct Pieces {
    /// Whether to say how likely each token was. Then a piece of text waits for what comes next, which may be just that.
    with_logprobs: bool,
    with_speakers: bool,
    waiting: Option<String>,
    segments: usize,
}

impl Pieces {
    fn delta(&mut self, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
        let Some(delta) = self.waiting.take() else { return };
        let logprobs = (!tokens.is_empty()).then(|| transcript::logprobs(tokens));
        sse::data(out, &Event::Delta { delta: &delta, logprobs });
    }
}

impl Script<TranscriptionEvent> for Pieces {
    const DIALECT: Dialect = Dialect::OpenAi;

    fn event(&mut self, event: TranscriptionEvent, out: &mut Vec<u8>) {
        match event {
            TranscriptionEvent::Text(delta) => {
                self.delta(&[], out);
                self.waiting = Some(delta);
                if !self.with_logprobs {
                    self.delta(&[], out);
                }
            }
            TranscriptionEvent::Logprobs(tokens) => self.delta(&tokens, out),
            TranscriptionEvent::Segment(segment) => {
                if self.with_speakers {
                    sse::data(out, &Event::Segment(transcript::spoken(self.segments, &segment)));
                    self.segments += 1;
                }
            }
            TranscriptionEvent::Finished(whole) => {
                self.delta(&[], out);
                sse::data(out, &Event::done(&whole, self.with_logprobs));
            }
            // The dialect has no place for it.
            TranscriptionEvent::Other(_) => {}
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
