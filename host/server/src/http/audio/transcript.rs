//! A transcript as OpenAI's API writes it.
//!
//! A verbose transcript's segments have members that tell how OpenAI's own model came to them. Where a provider does not tell, they
//! stand at what says nothing: `seek` 0, `tokens` empty, `temperature` 0, `avg_logprob` 0, `compression_ratio` 1, `no_speech_prob` 0.

use atelier_domain::generation::chat::TokenLogprob;
use atelier_domain::generation::transcription::{TranscribedSegment, TranscribedWord, Transcript};
use atelier_domain::generation::usage::{TokenTotals, UsageLine};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What `seek` and its kin are called in a segment's `extra` (see `wit/`).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Extra {
    seek: u64,
    tokens: Vec<u64>,
    temperature: f64,
    compression_ratio: Option<f64>,
}

#[derive(Serialize)]
struct Segment<'a> {
    id: usize,
    seek: u64,
    start: f64,
    end: f64,
    text: &'a str,
    tokens: Vec<u64>,
    temperature: f64,
    avg_logprob: f64,
    compression_ratio: f64,
    no_speech_prob: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<&'a str>,
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// `json`.
pub(super) fn plain(transcript: &Transcript, with_logprobs: bool) -> Value {
    let mut view = json!({"text": transcript.text});
    if let Some(usage) = usage(&transcript.usage) {
        view["usage"] = usage;
    }
    if with_logprobs {
        view["logprobs"] = logprobs(&transcript.logprobs);
    }
    view
}

/// `verbose_json`.
pub(super) fn verbose(transcript: &Transcript, is_translation: bool) -> Value {
    let segments: Vec<_> = transcript.segments.iter().enumerate().map(segment).collect();
    let mut view = json!({
        "task": if is_translation { "translate" } else { "transcribe" },
        "language": transcript.language.as_deref().unwrap_or(""),
        "duration": seconds(transcript.duration_ms.unwrap_or(0)),
        "text": transcript.text,
        "segments": segments,
    });
    if !transcript.words.is_empty() {
        view["words"] = transcript.words.iter().map(word).collect();
    }
    if let Some(usage) = usage(&transcript.usage) {
        view["usage"] = usage;
    }
    view
}

/// `diarized_json`.
pub(super) fn diarized(transcript: &Transcript) -> Value {
    let segments: Vec<_> =
        transcript.segments.iter().enumerate().map(|(place, segment)| spoken(place, segment)).collect();
    let mut view = json!({
        "task": "transcribe", "duration": seconds(transcript.duration_ms.unwrap_or(0)),
        "text": transcript.text, "segments": segments,
    });
    if let Some(usage) = usage(&transcript.usage) {
        view["usage"] = usage;
    }
    view
}

/// A segment with who speaks, which is also an event of a stream.
pub(super) fn spoken(place: usize, segment: &TranscribedSegment) -> Value {
    json!({
        "type": "transcript.text.segment", "id": format!("seg_{place}"), "start": seconds(segment.start_ms),
        "end": seconds(segment.end_ms), "speaker": segment.speaker.as_deref().unwrap_or(""), "text": segment.text,
    })
}

fn segment((id, segment): (usize, &TranscribedSegment)) -> Segment<'_> {
    let extra = segment.extra.as_ref().and_then(|extra| serde_json::from_str::<Extra>(extra.get()).ok());
    let extra = extra.unwrap_or_default();
    Segment {
        id,
        seek: extra.seek,
        start: seconds(segment.start_ms),
        end: seconds(segment.end_ms),
        text: &segment.text,
        tokens: extra.tokens,
        temperature: extra.temperature,
        avg_logprob: segment.avg_logprob.unwrap_or(0.0),
        compression_ratio: extra.compression_ratio.unwrap_or(1.0),
        no_speech_prob: segment.no_speech_probability.unwrap_or(0.0),
        speaker: segment.speaker.as_deref(),
    }
}

fn word(word: &TranscribedWord) -> Value {
    json!({"word": word.text, "start": seconds(word.start_ms), "end": seconds(word.end_ms)})
}

/// How likely each token was.
pub(super) fn logprobs(tokens: &[TokenLogprob]) -> Value {
    let view = |token: &TokenLogprob| {
        let bytes = token.bytes.as_deref().unwrap_or(token.token.as_bytes());
        json!({"token": token.token, "logprob": token.logprob, "bytes": bytes})
    };
    tokens.iter().map(view).collect()
}

/// What it took, in tokens or by its length.
pub(super) fn usage(lines: &[UsageLine]) -> Option<Value> {
    let totals = TokenTotals::of(lines);
    if totals.input + totals.output > 0 {
        let heard = |line: &&UsageLine| {
            let is_audio = line.attributes.iter().any(|(name, value)| name == "modality" && value == "audio");
            line.meter == "input-tokens" && is_audio
        };
        let audio: u64 = lines.iter().filter(heard).map(|line| line.quantity).sum();
        return Some(json!({
            "type": "tokens", "input_tokens": totals.input, "output_tokens": totals.output,
            "total_tokens": totals.input + totals.output,
            "input_token_details": {"audio_tokens": audio, "text_tokens": totals.input.saturating_sub(audio)},
        }));
    }
    let length = lines.iter().find(|line| line.meter == "audio-ms")?;
    Some(json!({"type": "duration", "seconds": seconds(length.quantity)}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_has_what_its_provider_told_and_says_nothing_where_it_did_not() {
        let told = r#"{"seek":100,"tokens":[50364,7],"temperature":0.2,"compression_ratio":1.5}"#;
        let segment = |extra: Option<&str>| TranscribedSegment {
            text: "Hi".to_owned(),
            start_ms: 0,
            end_ms: 1_500,
            speaker: None,
            avg_logprob: extra.map(|_| -0.25),
            no_speech_probability: None,
            extra: extra.map(|text| serde_json::from_str(text).expect("JSON")),
        };
        let transcript =
            Transcript { segments: vec![segment(Some(told)), segment(None)], ..Transcript::default() };
        let view = verbose(&transcript, false);
        assert_eq!(
            view["segments"][0],
            json!({"id": 0, "seek": 100, "start": 0.0, "end": 1.5, "text": "Hi", "tokens": [50364, 7], "temperature": 0.2,
                "avg_logprob": -0.25, "compression_ratio": 1.5, "no_speech_prob": 0.0})
        );
        assert_eq!(
            view["segments"][1],
            json!({"id": 1, "seek": 0, "start": 0.0, "end": 1.5, "text": "Hi", "tokens": [], "temperature": 0.0,
                "avg_logprob": 0.0, "compression_ratio": 1.0, "no_speech_prob": 0.0})
        );
    }
}
