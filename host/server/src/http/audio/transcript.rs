//! A transcript as OpenAI's API writes it.
//!
//! A verbose transcript's segments have members that tell how OpenAI's own model came to them. Where a provider does not tell, they
//! stand at what says nothing: `seek` 0, `tokens` empty, `temperature` 0, `avg_logprob` 0, `compression_ratio` 1, `no_speech_prob` 0.

use atelier_domain::generation::chat::TokenLogprob;
use atelier_domain::generation::transcription::{TranscribedSegment, TranscribedWord, Transcript};
use atelier_domain::generation::usage::{TokenTotals, UsageLine};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::openapi::words;

/// What `seek` and its kin are called in a segment's `extra` (see `wit/`).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Extra {
    seek: u64,
    tokens: Vec<u64>,
    temperature: f64,
    compression_ratio: Option<f64>,
}

/// A transcript in JSON, of the form that the request chose.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = AnyTranscript)]
pub(super) enum AnyTranscript<'a> {
    Verbose(Verbose<'a>),
    Diarized(Diarized<'a>),
    Plain(Plain<'a>),
}

/// An event of a transcript that is sent as it is made.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type")]
#[schema(as = TranscriptEvent)]
pub(super) enum Event<'a> {
    #[serde(rename = "transcript.text.delta")]
    Delta {
        delta: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        logprobs: Option<Vec<Logprob<'a>>>,
    },
    #[serde(rename = "transcript.text.segment")]
    Segment(Spoken<'a>),
    #[serde(rename = "transcript.text.done")]
    Done {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
        #[serde(skip_serializing_if = "Option::is_none")]
        logprobs: Option<Vec<Logprob<'a>>>,
    },
}

impl<'a> Event<'a> {
    pub(super) fn done(transcript: &'a Transcript, with_logprobs: bool) -> Self {
        let Plain { text, usage, logprobs } = plain(transcript, with_logprobs);
        Self::Done { text, usage, logprobs }
    }
}

/// `json`: a transcript and nothing else.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Transcript)]
pub(super) struct Plain<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    /// Where `include` asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<Logprob<'a>>>,
}

/// `verbose_json`.
#[derive(Serialize, ToSchema)]
#[schema(as = VerboseTranscript)]
pub(super) struct Verbose<'a> {
    #[schema(inline, value_type = TaskWord)]
    task: &'static str,
    /// Empty where it is not known.
    language: &'a str,
    /// Seconds.
    duration: f64,
    text: &'a str,
    segments: Vec<Segment<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    words: Vec<Word<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

/// `diarized_json`: who says what.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DiarizedTranscript)]
pub(super) struct Diarized<'a> {
    #[schema(inline, value_type = TranscribeWord)]
    task: &'static str,
    /// Seconds.
    duration: f64,
    text: &'a str,
    segments: Vec<DiarizedSegment<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

/// A segment of a verbose transcript, with times in seconds.
#[derive(Serialize, ToSchema)]
#[schema(as = TranscriptSegment)]
pub(super) struct Segment<'a> {
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

/// A segment with who speaks, as it is also an event of a stream.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type")]
#[schema(as = DiarizedSegment)]
pub(super) enum DiarizedSegment<'a> {
    #[serde(rename = "transcript.text.segment")]
    Segment(Spoken<'a>),
}

/// Who says what, and when in seconds.
#[derive(Serialize, ToSchema)]
#[schema(as = SpokenSegment)]
pub(super) struct Spoken<'a> {
    id: String,
    start: f64,
    end: f64,
    /// Empty where it is not known.
    speaker: &'a str,
    text: &'a str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TranscriptWord)]
pub(super) struct Word<'a> {
    word: &'a str,
    start: f64,
    end: f64,
}

/// How likely a token was.
#[derive(Serialize, ToSchema)]
#[schema(as = TranscriptLogprob)]
pub(super) struct Logprob<'a> {
    token: &'a str,
    logprob: f64,
    bytes: &'a [u8],
}

/// What it took, in tokens or by its length.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schema(as = TranscriptUsage)]
pub(super) enum Usage {
    Tokens { input_tokens: u64, output_tokens: u64, total_tokens: u64, input_token_details: InputDetails },
    Duration { seconds: f64 },
}

#[derive(Serialize, ToSchema)]
#[schema(as = TranscriptInputDetails)]
pub(super) struct InputDetails {
    audio_tokens: u64,
    text_tokens: u64,
}

words! {
    TaskWord: "transcribe" | "translate";
    TranscribeWord: "transcribe";
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// `json`.
pub(super) fn plain(transcript: &Transcript, with_logprobs: bool) -> Plain<'_> {
    Plain {
        text: &transcript.text,
        usage: usage(&transcript.usage),
        logprobs: with_logprobs.then(|| logprobs(&transcript.logprobs)),
    }
}

/// `verbose_json`.
pub(super) fn verbose(transcript: &Transcript, is_translation: bool) -> Verbose<'_> {
    Verbose {
        task: if is_translation { "translate" } else { "transcribe" },
        language: transcript.language.as_deref().unwrap_or(""),
        duration: seconds(transcript.duration_ms.unwrap_or(0)),
        text: &transcript.text,
        segments: transcript.segments.iter().enumerate().map(segment).collect(),
        words: transcript.words.iter().map(word).collect(),
        usage: usage(&transcript.usage),
    }
}

/// `diarized_json`.
pub(super) fn diarized(transcript: &Transcript) -> Diarized<'_> {
    let segments = transcript.segments.iter().enumerate();
    Diarized {
        task: "transcribe",
        duration: seconds(transcript.duration_ms.unwrap_or(0)),
        text: &transcript.text,
        segments: segments.map(|(place, segment)| DiarizedSegment::Segment(spoken(place, segment))).collect(),
        usage: usage(&transcript.usage),
    }
}

/// A segment with who speaks.
pub(super) fn spoken(place: usize, segment: &TranscribedSegment) -> Spoken<'_> {
    Spoken {
        id: format!("seg_{place}"),
        start: seconds(segment.start_ms),
        end: seconds(segment.end_ms),
        speaker: segment.speaker.as_deref().unwrap_or(""),
        text: &segment.text,
    }
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

fn word(word: &TranscribedWord) -> Word<'_> {
    Word { word: &word.text, start: seconds(word.start_ms), end: seconds(word.end_ms) }
}

/// How likely each token was.
pub(super) fn logprobs(tokens: &[TokenLogprob]) -> Vec<Logprob<'_>> {
    tokens.iter().map(logprob).collect()
}

fn logprob(token: &TokenLogprob) -> Logprob<'_> {
    let bytes = token.bytes.as_deref().unwrap_or(token.token.as_bytes());
    Logprob { token: &token.token, logprob: token.logprob, bytes }
}

fn usage(lines: &[UsageLine]) -> Option<Usage> {
    let totals = TokenTotals::of(lines);
    if totals.input + totals.output > 0 {
        let heard = |line: &&UsageLine| {
            let is_audio = line.attributes.iter().any(|(name, value)| name == "modality" && value == "audio");
            line.meter == "input-tokens" && is_audio
        };
        let audio_tokens: u64 = lines.iter().filter(heard).map(|line| line.quantity).sum();
        let text_tokens = totals.input.saturating_sub(audio_tokens);
        return Some(Usage::Tokens {
            input_tokens: totals.input,
            output_tokens: totals.output,
            total_tokens: totals.input + totals.output,
            input_token_details: InputDetails { audio_tokens, text_tokens },
        });
    }
    let length = lines.iter().find(|line| line.meter == "audio-ms")?;
    Some(Usage::Duration { seconds: seconds(length.quantity) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        let view = serde_json::to_value(verbose(&transcript, false)).expect("JSON");
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
