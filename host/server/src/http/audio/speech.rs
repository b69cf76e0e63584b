//! `POST /v1/audio/speech`: the audio as it is made.

use std::pin::Pin;
use std::task::{Context, Poll};

use atelier_domain::generation::speech::{SpeechEvent, SpeechRequest};
use atelier_domain::generation::usage::{TokenTotals, UsageLine};
use atelier_domain::generation::{Json, empty_object};
use atelier_domain::model::Task;
use atelier_service::ServiceError;
use atelier_service::generation::Live;
use axum::body::Body as HttpBody;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::http::openapi::{Operation, Tag, form_file, words};
use crate::http::sse::{self, Script};
use crate::http::{ApiError, Call, Dialect, Reply, body};

const INPUT_CHARACTERS_MAX: usize = 4096;
const FORMATS: [&str; 6] = ["mp3", "opus", "aac", "flac", "wav", "pcm"];

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SpeechRequest)]
struct Body {
    /// `instance/model`, or an alias of the operator's.
    model: String,
    #[schema(min_length = 1, max_length = 4096)]
    input: String,
    #[schema(inline)]
    voice: Voice,
    /// Absent: `mp3`, or `wav` of a voice on this machine, which has no `mp3`; the content type says which.
    #[schema(inline, value_type = Option<FormatWord>)]
    response_format: Option<String>,
    #[schema(minimum = 0.25, maximum = 4)]
    speed: Option<f64>,
    instructions: Option<String>,
    language: Option<String>,
    #[schema(inline, value_type = Option<StreamWord>)]
    stream_format: Option<String>,
    /// Ours: provider-specific options by the model's own schema.
    #[schema(value_type = Option<Object>)]
    options: Option<Json>,
}

#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum Voice {
    Name(String),
    Id { id: String },
}

words! {
    FormatWord: "mp3" | "opus" | "aac" | "flac" | "wav" | "pcm";
    StreamWord: "audio" | "sse";
}

/// Speaks a text.
pub(in crate::http) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let body: Body = body::parse(&bytes)?;
    check(&body)?;
    let caller = call.caller()?;
    let resolved = call.app.generations.resolve(caller, &body.model, Task::Speech).await?;
    let in_events = body.stream_format.as_deref() == Some("sse");
    let request = SpeechRequest {
        model: String::new(),
        text: body.input,
        voice: match body.voice {
            Voice::Name(name) | Voice::Id { id: name } => name,
        },
        // Events do not say what they hold.
        format: body.response_format.or_else(|| in_events.then(|| SpeechRequest::USUAL_FORMAT.to_owned())),
        speed: body.speed,
        instructions: body.instructions,
        language: body.language,
        options: body.options.unwrap_or_else(empty_object),
    };
    let mut live = call.app.generations.speak(caller, resolved, request)?.begin().await?;
    if in_events {
        let model = live.model.clone();
        let reply = sse::stream(live, Events::default(), call.request_id.clone(), &call.app.config.server);
        return Ok(reply.by(model.id.as_str()));
    }
    let Some(first) = live.next().await else { return Err(ApiError::bug("a call that began has no event")) };
    let first = first?;
    let content_type = first.iter().find_map(|event| match event {
        SpeechEvent::Started(content_type) => HeaderValue::try_from(content_type.as_str()).ok(),
        SpeechEvent::Audio(_) | SpeechEvent::Finished(_) => None,
    });
    let (provider_time, model) = (Some(live.elapsed()), live.model.clone());
    let mut response = Response::new(HttpBody::from_stream(Audio { live, first: Some(first) }));
    let content_type = content_type.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(Reply { response, provider_time, is_stream: true }.by(model.id.as_str()))
}

fn check(body: &Body) -> Result<(), ApiError> {
    if body.input.chars().count() > INPUT_CHARACTERS_MAX {
        return Err(ApiError::invalid("input", format!("at most {INPUT_CHARACTERS_MAX} characters")));
    }
    if body.response_format.as_ref().is_some_and(|format| !FORMATS.contains(&format.as_str())) {
        return Err(ApiError::invalid("response_format", format!("must be one of {}", FORMATS.join(", "))));
    }
    if body.speed.is_some_and(|speed| !(0.25..=4.0).contains(&speed)) {
        return Err(ApiError::invalid("speed", "must be from 0.25 to 4"));
    }
    if body.stream_format.as_ref().is_some_and(|format| format != "audio" && format != "sse") {
        return Err(ApiError::invalid("stream_format", "must be \"audio\" or \"sse\""));
    }
    Ok(())
}

/// An event of speech that is sent with `"stream_format": "sse"`.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type")]
#[schema(as = SpeechEvent)]
enum Event {
    #[serde(rename = "speech.audio.delta")]
    Delta {
        /// Base64.
        audio: String,
    },
    #[serde(rename = "speech.audio.done")]
    Done { usage: Usage },
}

#[derive(Serialize, ToSchema)]
#[schema(as = SpeechUsage)]
struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
}

/// Writes speech as events.
#[derive(Default)]
struct Events {
    usage: Vec<UsageLine>,
}

impl Script<SpeechEvent> for Events {
    const DIALECT: Dialect = Dialect::OpenAi;

    fn event(&mut self, event: SpeechEvent, out: &mut Vec<u8>) {
        match event {
            // The request named the format.
            SpeechEvent::Started(_) => {}
            SpeechEvent::Audio(bytes) if bytes.is_empty() => {}
            SpeechEvent::Audio(bytes) => sse::data(out, &Event::Delta { audio: STANDARD.encode(&bytes) }),
            SpeechEvent::Finished(lines) => self.usage = lines,
        }
    }

    /// Providers that count characters or seconds have no tokens to tell.
    fn end(&mut self, out: &mut Vec<u8>) {
        let TokenTotals { input, output, .. } = TokenTotals::of(&self.usage);
        let usage = Usage { input_tokens: input, output_tokens: output, total_tokens: input + output };
        sse::data(out, &Event::Done { usage });
    }
}

/// The audio's bytes. A failure in the middle breaks the connection: a clean end would pass for a whole file.
struct Audio {
    live: Live<SpeechEvent>,
    first: Option<Vec<SpeechEvent>>,
}

impl Stream for Audio {
    type Item = Result<Bytes, ServiceError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let batch = match this.first.take() {
                Some(batch) => batch,
                None => match this.live.poll_next_unpin(cx) {
                    Poll::Ready(Some(Ok(batch))) => batch,
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Pending => return Poll::Pending,
                },
            };
            let mut pieces = batch.into_iter().filter_map(|event| match event {
                SpeechEvent::Audio(bytes) if !bytes.is_empty() => Some(bytes),
                SpeechEvent::Audio(_) | SpeechEvent::Started(_) | SpeechEvent::Finished(_) => None,
            });
            let Some(first) = pieces.next() else { continue };
            let rest: Vec<Bytes> = pieces.collect();
            let audio = if rest.is_empty() { first } else { [vec![first], rest].concat().concat().into() };
            return Poll::Ready(Some(Ok(audio)));
        }
    }
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    const EVENTS: &str = "data: {\"type\":\"speech.audio.delta\",\"audio\":\"SUQzBAAAAAAA\"}\n\ndata: {\"type\":\"speech.audio.done\",\
        \"usage\":{\"input_tokens\":6,\"output_tokens\":32,\"total_tokens\":38}}\n\n";
    let request =
        json!({"model": "openai/gpt-4o-mini-tts", "voice": "alloy", "input": "The tide is turning."});
    Operation::new("createSpeech", Tag::Audio, "Speak a text")
        .about(
            "The audio comes while it is made. One that fails in the middle ends by a broken connection, never by a clean end. \
             The content type is that of the chosen form. With `\"stream_format\": \"sse\"` it comes in events instead.",
        )
        .takes::<Body>(request)
        .empty(200, "The audio.")
        .or("audio/*", form_file())
        .or("application/octet-stream", form_file())
        .or_events::<Event>(EVENTS)
        .calls_provider()
}
