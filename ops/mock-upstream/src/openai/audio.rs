//! `POST /v1/audio/{speech,transcriptions,translations}`.

use std::sync::Arc;

use axum::Extension;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{invalid, missing, required, required_model};
use crate::answer;
use crate::call::Call;
use crate::media;
use crate::reply::{Answer, Reply, data};

/// How long each word of a transcript lasts, in seconds.
const WORD_S: f64 = 0.5;
const SPEECH_PIECE_BYTES: usize = 2048;
const SPEECH_LETTERS_MAX: usize = 4096;

pub(super) async fn speech(Extension(call): Extension<Arc<Call>>) -> Answer {
    required_model(&call)?;
    let input = required(&call, "input")?;
    required(&call, "voice")?;
    if input.chars().count() > SPEECH_LETTERS_MAX {
        return Err(invalid("Invalid 'input': at most 4096 characters.", "input", "string_above_max_length"));
    }
    let words = input.split_whitespace().count().max(1);
    let seconds = words as f32 * WORD_S as f32;
    let (kind, file) = match call.text("response_format").unwrap_or("mp3") {
        "mp3" => ("audio/mpeg", media::mp3(words * 19)),
        "wav" => ("audio/wav", media::wav(seconds)),
        "pcm" => ("audio/pcm", media::pcm(seconds, media::SAMPLE_RATE)),
        other => {
            let message = format!("This server speaks mp3, wav and pcm, not '{other}'.");
            return Err(invalid(&message, "response_format", "unsupported_value"));
        }
    };
    if call.text("stream_format") == Some("sse") {
        return Ok(Reply::events(speech_events(&file, words)).charged());
    }
    Ok(Reply::pieces(kind, media::in_pieces(file, SPEECH_PIECE_BYTES)).charged())
}

fn speech_events(file: &[u8], words: usize) -> Vec<bytes::Bytes> {
    let delta = |piece: &[u8]| data(&json!({"type": "speech.audio.delta", "audio": answer::base64(piece)}));
    let mut events: Vec<_> = file.chunks(SPEECH_PIECE_BYTES).map(delta).collect();
    let usage = json!({"input_tokens": words, "output_tokens": words, "total_tokens": words * 2});
    events.push(data(&json!({"type": "speech.audio.done", "usage": usage})));
    events
}

pub(super) async fn transcribe(Extension(call): Extension<Arc<Call>>) -> Answer {
    let file = call.form.field("file").ok_or_else(|| missing("file"))?;
    required_model(&call)?;
    if file.data.is_empty() {
        return Err(invalid("The audio file could not be decoded: it is empty.", "file", "invalid_value"));
    }
    let name = file.file_name.as_deref().unwrap_or("audio");
    let heard = || format!("Hello from the mock: {} bytes of {name}", file.data.len());
    let text = call.echo().unwrap_or_else(heard);
    let words: Vec<&str> = text.split_whitespace().collect();
    if call.flag("stream") {
        return Ok(Reply::events(transcript_events(&call, &text)).charged());
    }
    let end_s = words.len() as f64 * WORD_S;
    let usage = json!({"type": "duration", "seconds": end_s.ceil() as u64});
    let plain = |kind: &str, body: String| Reply::bytes(StatusCode::OK, kind, body);
    let reply = match call.text("response_format").unwrap_or("json") {
        "json" => {
            let mut body = json!({"text": text, "usage": usage});
            if wants_logprobs(&call) {
                body["logprobs"] = answer::tokens(&call, &text).iter().map(|token| logprob(token)).collect();
            }
            Reply::json(&body)
        }
        "diarized_json" => Reply::json(&json!({
            "task": "transcribe", "duration": end_s, "text": text, "usage": usage,
            "segments": [{"type": "transcript.text.segment", "id": "seg_0", "speaker": "A", "start": 0.0,
                "end": end_s, "text": text}],
        })),
        "text" => plain("text/plain; charset=utf-8", format!("{text}\n")),
        "srt" => {
            let end = clock(end_s, ',');
            plain("text/plain; charset=utf-8", format!("1\n00:00:00,000 --> {end}\n{text}\n\n"))
        }
        "vtt" => {
            let end = clock(end_s, '.');
            plain("text/vtt; charset=utf-8", format!("WEBVTT\n\n00:00:00.000 --> {end}\n{text}\n\n"))
        }
        "verbose_json" => Reply::json(&verbose(&call, &text, &words, &usage)),
        other => {
            let message =
                format!("Invalid 'response_format': '{other}' is not json, text, srt, verbose_json or vtt.");
            return Err(invalid(&message, "response_format", "invalid_value"));
        }
    };
    Ok(reply.charged())
}

fn wants_logprobs(call: &Call) -> bool {
    call.form.list("include").filter_map(|field| field.text()).any(|wanted| wanted == "logprobs")
}

fn logprob(token: &str) -> Value {
    json!({"token": token, "logprob": -0.25, "bytes": token.as_bytes()})
}

fn transcript_events(call: &Call, text: &str) -> Vec<bytes::Bytes> {
    let with_logprobs = wants_logprobs(call);
    let delta = |token: &String| {
        let mut event = json!({"type": "transcript.text.delta", "delta": token});
        if with_logprobs {
            event["logprobs"] = json!([logprob(token)]);
        }
        data(&event)
    };
    let tokens = answer::tokens(call, text);
    let mut events: Vec<_> = tokens.iter().map(delta).collect();
    let (input, output) = (14, tokens.len());
    let usage = json!({
        "type": "tokens",
        "input_tokens": input,
        "input_token_details": {"text_tokens": 0, "audio_tokens": input},
        "output_tokens": output,
        "total_tokens": input + output,
    });
    let mut done = json!({"type": "transcript.text.done", "text": text, "usage": usage});
    if with_logprobs {
        done["logprobs"] = tokens.iter().map(|token| logprob(token)).collect();
    }
    events.push(data(&done));
    events
}

fn verbose(call: &Call, text: &str, words: &[&str], usage: &Value) -> Value {
    let end_s = words.len() as f64 * WORD_S;
    let wanted = |what: &str| {
        let mut listed = call.form.list("timestamp_granularities").filter_map(|field| field.text());
        listed.any(|granularity| granularity == what)
    };
    let translates = call.uri.path().ends_with("/translations");
    let mut body = json!({
        "task": if translates { "translate" } else { "transcribe" },
        "language": "english",
        "duration": end_s,
        "text": text,
        "usage": usage,
    });
    let spoken = |(at, word): (usize, &&str)| json!({"word": word, "start": at as f64 * WORD_S, "end": (at + 1) as f64 * WORD_S});
    if wanted("word") {
        body["words"] = words.iter().enumerate().map(spoken).collect();
    }
    if wanted("segment") || !wanted("word") {
        body["segments"] = json!([{
            "id": 0,
            "seek": 0,
            "start": 0.0,
            "end": end_s,
            "text": text,
            "tokens": (0..words.len()).collect::<Vec<_>>(),
            "temperature": 0.0,
            "avg_logprob": -0.1,
            "compression_ratio": 1.0,
            "no_speech_prob": 0.01,
        }]);
    }
    body
}

/// `HH:MM:SS` and milliseconds after a comma (SubRip) or a point (WebVTT).
fn clock(seconds: f64, point: char) -> String {
    let ms = (seconds * 1000.0) as u64;
    let (hours, minutes, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{hours:02}:{minutes:02}:{rest:02}{point}{:03}", ms % 1000)
}
