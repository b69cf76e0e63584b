//! Transcripts (`POST /transcripts`, a form with the file).

use atelier_plugin_sdk::http::{Multipart, Request};
use atelier_plugin_sdk::transcription::{Request as Wanted, Transcript, TranscriptEvent, TranscriptSink};
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{CallContext, Failure, Transcription};
use serde::Deserialize;

use crate::Acme;

/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: u32 = 4 << 20;

#[derive(Deserialize)]
struct Answer {
    text: String,
    language: Option<String>,
    milliseconds: u64,
}

impl Transcription for Acme {
    fn transcribe(
        context: CallContext,
        request: Wanted,
        sink: TranscriptSink,
    ) -> Result<Transcript, Failure> {
        if request.translate {
            return Err(Failure::unsupported("this provider does not translate").with_param("translate"));
        }
        let mut form = Multipart::new();
        form.text("model", &request.model);
        form.optional("language", request.language.as_deref());
        form.blob("file", &request.filename, &request.audio);
        let url = format!("{}/transcripts", context.base_url);
        let response = Request::post(url).multipart(form).charging().send()?.success()?;
        let answer: Answer = response.json(ANSWER_BYTES_MAX)?;
        if request.stream {
            sink.send(&[TranscriptEvent::Text(answer.text.clone())])?;
        }
        Ok(Transcript {
            text: answer.text,
            language: answer.language,
            duration_ms: Some(answer.milliseconds),
            words: Vec::new(),
            segments: Vec::new(),
            logprobs: Vec::new(),
            usage: vec![usage::line(meter::AUDIO_MS, answer.milliseconds, &[])],
            extra: None,
        })
    }
}
