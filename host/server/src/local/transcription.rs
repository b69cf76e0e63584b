//! What is said in a recording, by an in-house recogniser, window by window.

use std::sync::Arc;

use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::generation::chat::TokenLogprob;
use atelier_domain::generation::transcription::{
    TranscribedSegment, TranscribedWord, Transcript, TranscriptionEvent, TranscriptionRequest,
};
use atelier_domain::generation::usage::UsageLine;
use atelier_inference::whisper::{Heard, Manner, Segment, Word};
use atelier_inference::{Transcription, TranscriptionEngine};
use atelier_service::recording::Recording;
use serde_json::{Value, json};

use super::chat::text_and_bytes;
use super::failure::{engine_error, reported};
use super::recording::Listened;

/// What English is called.
const ENGLISH: [&str; 2] = ["en", "english"];
/// Steps of a second that `seek` counts.
const SEEK_PER_SECOND: f64 = 100.0;

/// The options as JSON Schema (2020-12): there are none.
pub(super) fn schema() -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": {}})
}

/// Where a transcription stands.
pub(super) enum Turn {
    Begin(Arc<dyn TranscriptionEngine>, Box<TranscriptionRequest>),
    Going(Transcription, Box<Going>),
    Ended,
}

/// What was said so far.
pub(super) struct Going {
    transcript: Transcript,
    logprobs: bool,
    seconds: f64,
}

type Next = Option<(Result<Vec<TranscriptionEvent>, ProviderError>, Turn)>;

impl Turn {
    pub(super) async fn next(self) -> Next {
        match self {
            Self::Begin(engine, request) => {
                let logprobs = request.logprobs;
                Some(match begin(engine.as_ref(), *request).await {
                    Ok(transcription) => {
                        let transcript =
                            Transcript { language: Some("english".to_owned()), ..Transcript::default() };
                        let going = Going { transcript, logprobs, seconds: 0.0 };
                        (Ok(Vec::new()), Self::Going(transcription, Box::new(going)))
                    }
                    Err(error) => (Err(error), Self::Ended),
                })
            }
            Self::Going(mut transcription, mut going) => Some(match transcription.next().await {
                Ok(Some(heard)) => (Ok(going.take(heard)), Self::Going(transcription, going)),
                Ok(None) => (Ok(vec![going.finish()]), Self::Ended),
                Err(error) => (Err(engine_error(error)), Self::Ended),
            }),
            Self::Ended => None,
        }
    }
}

/// What the model cannot do is refused, never silently left out.
async fn begin(
    engine: &dyn TranscriptionEngine,
    request: TranscriptionRequest,
) -> Result<Transcription, ProviderError> {
    let TranscriptionRequest { model, audio, language, prompt, temperature, .. } = request;
    if let Some(language) =
        language.filter(|language| !ENGLISH.contains(&language.to_ascii_lowercase().as_str()))
    {
        let message = format!("{model} hears English alone, not {language:?}");
        return Err(reported(FailureCode::InvalidRequest, message, Some("language")));
    }
    if request.speakers {
        let message = format!("{model} does not tell speakers apart");
        return Err(reported(FailureCode::Unsupported, message, Some("response_format")));
    }
    let opened = tokio::task::spawn_blocking(move || Listened::new(Recording::open(&audio)?)).await;
    let unreadable = |reason: String| {
        let message =
            format!("the recording cannot be read: {reason}; send WAV, FLAC, MP3, M4A (AAC) or Ogg (Vorbis)");
        reported(FailureCode::InvalidRequest, message, Some("file"))
    };
    let sound = match opened {
        Ok(opened) => opened.map_err(unreadable)?,
        Err(error) => return Err(unreadable(error.to_string())),
    };
    let manner = Manner {
        prompt,
        // OpenAI's 0 is its usual: what is likeliest, and rising ones where that goes badly.
        temperature: temperature.filter(|wanted| *wanted > 0.0).map(|wanted| wanted as f32),
        word_times: request.word_times,
    };
    engine.transcribe(Box::new(sound), manner).await.map_err(engine_error)
}

impl Going {
    fn take(&mut self, heard: Heard) -> Vec<TranscriptionEvent> {
        self.seconds = heard.seconds;
        let mut events = Vec::new();
        for segment in heard.segments {
            let first = self.transcript.text.is_empty();
            let text = if first { segment.text.trim_start() } else { segment.text.as_str() };
            self.transcript.text.push_str(text);
            events.push(TranscriptionEvent::Text(text.to_owned()));
            if self.logprobs {
                let tokens: Vec<TokenLogprob> = segment.logprobs.iter().map(token).collect();
                self.transcript.logprobs.extend(tokens.iter().cloned());
                events.push(TranscriptionEvent::Logprobs(tokens));
            }
            self.transcript.words.extend(segment.words.iter().map(word));
            let told = told(segment);
            self.transcript.segments.push(told.clone());
            events.push(TranscriptionEvent::Segment(told));
        }
        events
    }

    fn finish(&mut self) -> TranscriptionEvent {
        let mut transcript = std::mem::take(&mut self.transcript);
        transcript.text.truncate(transcript.text.trim_end().len());
        let duration_ms = ms(self.seconds);
        transcript.duration_ms = Some(duration_ms);
        transcript.usage = vec![UsageLine::new("audio-ms", duration_ms)];
        TranscriptionEvent::Finished(Box::new(transcript))
    }
}

fn ms(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

fn token((bytes, logprob): &(Vec<u8>, f32)) -> TokenLogprob {
    let (token, bytes) = text_and_bytes(bytes.clone());
    TokenLogprob { token, logprob: f64::from(*logprob), bytes, top: Vec::new() }
}

fn word(word: &Word) -> TranscribedWord {
    let (start_ms, end_ms) = (ms(word.seconds.start), ms(word.seconds.end));
    TranscribedWord { text: word.text.clone(), start_ms, end_ms, speaker: None, extra: None }
}

fn told(segment: Segment) -> TranscribedSegment {
    let extra = json!({
        "seek": (segment.window_seconds * SEEK_PER_SECOND).round() as u64,
        "tokens": segment.tokens,
        "temperature": segment.temperature,
        "compression_ratio": segment.compression,
    });
    TranscribedSegment {
        text: segment.text,
        start_ms: ms(segment.seconds.start),
        end_ms: ms(segment.seconds.end),
        speaker: None,
        avg_logprob: Some(f64::from(segment.mean_logprob)),
        no_speech_probability: Some(f64::from(segment.no_speech)),
        extra: serde_json::value::to_raw_value(&extra).ok(),
    }
}
