//! Transcriptions and translations (`POST /audio/transcriptions`, `POST /audio/translations`).

use crate::OpenAi;
use crate::api::Api;
use atelier_plugin_sdk::http::{Events, Multipart};
use atelier_plugin_sdk::transcription::{Request, Transcript, TranscriptEvent, TranscriptSink};
use atelier_plugin_sdk::{CallContext, Failure, Transcription, failure::code, json};

mod answer;

const RESERVED: &[&str] = &[
    "file",
    "model",
    "language",
    "prompt",
    "response_format",
    "temperature",
    "timestamp_granularities",
    "include",
    "stream",
];
const ANSWER_BYTES_MAX: u32 = 16 * 1024 * 1024;
const EVENT_BYTES_MAX: usize = 1024 * 1024;

impl Transcription for OpenAi {
    fn transcribe(
        context: CallContext,
        request: Request,
        sink: TranscriptSink,
    ) -> Result<Transcript, Failure> {
        let api = Api::new(&context)?;
        let fields = fields(&request)?;
        let mut form = Multipart::new();
        form.blob("file", &request.filename, &request.audio);
        for (name, value) in fields {
            form.text(&name, value);
        }
        let path = if request.translate { "/audio/translations" } else { "/audio/transcriptions" };
        let response = api.send(api.post(path).multipart(form).charging())?;
        if response.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
            return stream(response.sse(EVENT_BYTES_MAX), &sink);
        }
        let transcript = answer::transcript(&response.bytes(ANSWER_BYTES_MAX)?)?;
        if request.stream {
            sink.send(&[TranscriptEvent::Text(transcript.text.clone())])?;
        }
        Ok(transcript)
    }
}

/// OpenAI's own transcribing chat models give plain JSON and streams, but no times.
fn is_plain(model: &str) -> bool {
    model.contains("-transcribe")
}

/// The form's fields beside the file.
fn fields(request: &Request) -> Result<Vec<(String, String)>, Failure> {
    let plain = is_plain(&request.model);
    let diarizes = request.model.contains("diarize");
    if plain && (request.word_times || (request.segment_times && !diarizes)) {
        let param = if request.word_times { "word_times" } else { "segment_times" };
        return Err(Failure::unsupported("this model gives no times: use whisper-1").with_param(param));
    }
    if request.speakers && !diarizes {
        let message = "this model does not tell speakers apart: use one that diarizes";
        return Err(Failure::unsupported(message).with_param("speakers"));
    }
    if request.logprobs && (!plain || diarizes || request.translate) {
        let message = "this model does not say how likely its words are: use gpt-4o-transcribe";
        return Err(Failure::unsupported(message).with_param("logprobs"));
    }
    let mut fields = Vec::with_capacity(8);
    let mut field = |name: &str, value: &str| fields.push((name.to_owned(), value.to_owned()));
    field("model", &request.model);
    field(
        "response_format",
        match (plain, diarizes) {
            (_, true) => "diarized_json",
            (true, false) => "json",
            (false, false) => "verbose_json",
        },
    );
    if !request.translate {
        if let Some(language) = &request.language {
            // ISO 639-1 is the first subtag of BCP 47.
            field("language", language.split(['-', '_']).next().unwrap_or(language));
        }
        if !plain {
            for (wanted, name) in [(request.word_times, "word"), (request.segment_times, "segment")] {
                if wanted {
                    field("timestamp_granularities[]", name);
                }
            }
        }
        if plain && request.stream {
            field("stream", "true");
        }
        if request.logprobs {
            field("include[]", "logprobs");
        }
    }
    if let Some(prompt) = &request.prompt {
        field("prompt", prompt);
    }
    if let Some(temperature) = request.temperature {
        field("temperature", &temperature.to_string());
    }
    crate::form::options(&request.options, RESERVED, &mut fields)?;
    Ok(fields)
}

/// Pass pieces on as they come; the last event has the whole.
fn stream(mut events: Events, sink: &TranscriptSink) -> Result<Transcript, Failure> {
    let mut state = answer::Streamed::default();
    while let Some(event) = events.next_event()? {
        let made = state.take(event.data)?;
        if !made.is_empty() {
            sink.send(&made)?;
        }
    }
    state.end()
}

fn broken_off() -> Failure {
    Failure::new(code::UNAVAILABLE, "the provider broke off the transcript before the end: try again")
}

/// Read what an event or an answer says.
fn read<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, Failure> {
    json::parse_text(text)
}
