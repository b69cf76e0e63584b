//! Transcripts, at once and in pieces.

use super::{broken_off, read};
use crate::chat::logprobs::{self, Token};
use crate::fault;
use atelier_plugin_sdk::transcription::{Segment, Transcript, TranscriptEvent, Word};
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{Failure, UsageLine, json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Answer {
    text: String,
    language: Option<String>,
    duration: Option<f64>,
    words: Option<Vec<Timed>>,
    segments: Option<Vec<Spoken>>,
    logprobs: Option<Vec<Token>>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Timed {
    word: String,
    start: f64,
    end: f64,
}

#[derive(Deserialize)]
struct Spoken {
    text: String,
    start: f64,
    end: f64,
    speaker: Option<String>,
    avg_logprob: Option<f64>,
    no_speech_prob: Option<f64>,
    seek: Option<u64>,
    temperature: Option<f64>,
    compression_ratio: Option<f64>,
    tokens: Option<Vec<u32>>,
}

/// What only this API tells of a segment; passed on as it is.
#[derive(Serialize)]
struct Extra {
    #[serde(skip_serializing_if = "Option::is_none")]
    seek: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compression_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Vec<u32>>,
}

/// By duration (`seconds`) or by tokens.
#[derive(Deserialize)]
struct Usage {
    seconds: Option<f64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_token_details: Option<InputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    audio_tokens: Option<u64>,
}

/// An answer's body, of any of the JSON formats.
pub fn transcript(body: &[u8]) -> Result<Transcript, Failure> {
    let answer: Answer = json::parse(body)?;
    Ok(answer.transcript())
}

impl Answer {
    fn transcript(self) -> Transcript {
        let duration_ms = self.duration.map(milliseconds);
        let word = |timed: Timed| Word {
            text: timed.word,
            start_ms: milliseconds(timed.start),
            end_ms: milliseconds(timed.end),
            speaker: None,
            extra: None,
        };
        Transcript {
            text: self.text,
            language: self.language,
            duration_ms,
            words: self.words.into_iter().flatten().map(word).collect(),
            segments: self.segments.into_iter().flatten().map(Spoken::segment).collect(),
            logprobs: logprobs::tokens(self.logprobs.unwrap_or_default()),
            usage: lines(self.usage, duration_ms),
            extra: None,
        }
    }
}

impl Spoken {
    fn segment(self) -> Segment {
        let extra = Extra {
            seek: self.seek,
            temperature: self.temperature,
            compression_ratio: self.compression_ratio,
            tokens: self.tokens,
        };
        Segment {
            text: self.text,
            start_ms: milliseconds(self.start),
            end_ms: milliseconds(self.end),
            speaker: self.speaker,
            avg_logprob: self.avg_logprob,
            no_speech_probability: self.no_speech_prob,
            extra: serde_json::to_string(&extra).ok().filter(|text| text != "{}"),
        }
    }
}

fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

/// What was used: as the provider counts, or else the sound's length.
fn lines(usage: Option<Usage>, duration_ms: Option<u64>) -> Vec<UsageLine> {
    let Some(usage) = usage else {
        return duration_ms.map(|ms| usage::line(meter::AUDIO_MS, ms, &[])).into_iter().collect();
    };
    let mut lines = Vec::with_capacity(3);
    if let Some(seconds) = usage.seconds {
        lines.push(usage::line(meter::AUDIO_MS, milliseconds(seconds), &[]));
    }
    if let Some(input) = usage.input_tokens {
        let heard =
            usage.input_token_details.and_then(|details| details.audio_tokens).unwrap_or(0).min(input);
        lines.push(usage::line(meter::INPUT_TOKENS, input - heard, &[]));
        lines.push(usage::line(meter::INPUT_TOKENS, heard, &[("modality", "audio")]));
    }
    if let Some(output) = usage.output_tokens {
        lines.push(usage::line(meter::OUTPUT_TOKENS, output, &[]));
    }
    lines
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    delta: Option<String>,
    logprobs: Option<Vec<Token>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// How far a stream has come.
#[derive(Default)]
pub struct Streamed {
    segments: Vec<Segment>,
    whole: Option<Transcript>,
}

impl Streamed {
    /// Take the data of one event; what it has to pass on.
    pub fn take(&mut self, data: &str) -> Result<Vec<TranscriptEvent>, Failure> {
        let mut made = Vec::new();
        if data == "[DONE]" {
            return Ok(made);
        }
        let event: Event<'_> = read(data)?;
        if let Some(error) = event.error {
            return Err(fault::reported(error.get()));
        }
        match event.kind.as_deref() {
            Some("transcript.text.delta") => {
                let delta = event.delta.filter(|delta| !delta.is_empty());
                made.extend(delta.map(TranscriptEvent::Text));
                let tokens = logprobs::tokens(event.logprobs.unwrap_or_default());
                if !tokens.is_empty() {
                    made.push(TranscriptEvent::Logprobs(tokens));
                }
            }
            Some("transcript.text.segment") => {
                let segment = read::<Spoken>(data)?.segment();
                made.push(TranscriptEvent::Segment(segment.clone()));
                self.segments.push(segment);
            }
            Some("transcript.text.done") => self.whole = Some(read::<Answer>(data)?.transcript()),
            _ => {}
        }
        Ok(made)
    }

    /// The whole transcript.
    ///
    /// # Errors
    /// `unavailable` if the stream ended without one.
    pub fn end(self) -> Result<Transcript, Failure> {
        let mut whole = self.whole.ok_or_else(broken_off)?;
        if whole.segments.is_empty() {
            whole.segments = self.segments;
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbose_answers_keep_words_segments_and_duration() {
        let body = r#"{"task":"transcribe","language":"english","duration":8.470000267028809,"text":"The beach was popular.",
            "segments":[{"id":0,"seek":0,"start":0.0,"end":3.319999933242798,"text":" The beach","tokens":[50364],"temperature":0.0,"avg_logprob":-0.28,"compression_ratio":1.2,"no_speech_prob":0.01}],
            "words":[{"word":"The","start":0.5,"end":0.72}],"usage":{"type":"duration","seconds":9}}"#;
        let transcript = transcript(body.as_bytes()).unwrap();
        assert_eq!((transcript.duration_ms, transcript.language.as_deref()), (Some(8_470), Some("english")));
        let segment = &transcript.segments[0];
        assert_eq!((segment.end_ms, segment.avg_logprob), (3_320, Some(-0.28)));
        let extra = r#"{"seek":0,"temperature":0.0,"compression_ratio":1.2,"tokens":[50364]}"#;
        assert_eq!(segment.extra.as_deref(), Some(extra));
        assert_eq!((transcript.words[0].text.as_str(), transcript.words[0].end_ms), ("The", 720));
        assert_eq!((transcript.usage[0].meter.as_str(), transcript.usage[0].quantity), ("audio-ms", 9_000));
    }

    #[test]
    fn token_counts_are_split_by_modality() {
        let body = r#"{"text":"Hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":5,"total_tokens":19}}"#;
        let usage = transcript(body.as_bytes()).unwrap().usage;
        let counts: Vec<_> =
            usage.iter().map(|line| (line.meter.as_str(), line.quantity, line.attributes.len())).collect();
        assert_eq!(counts, [("input-tokens", 4, 0), ("input-tokens", 10, 1), ("output-tokens", 5, 0)]);
    }

    #[test]
    fn a_stream_passes_pieces_on_and_ends_with_the_whole() {
        let mut state = Streamed::default();
        let mut pieces = String::new();
        for data in [
            r#"{"type":"transcript.text.delta","delta":"I see","logprobs":[{"token":"I","logprob":-0.1,"bytes":[73]}]}"#,
            r#"{"type":"transcript.text.delta","delta":" skies"}"#,
            r#"{"type":"transcript.text.done","text":"I see skies","usage":{"input_tokens":1,"output_tokens":2}}"#,
        ] {
            for made in state.take(data).unwrap() {
                match made {
                    TranscriptEvent::Text(text) => pieces.push_str(&text),
                    TranscriptEvent::Logprobs(tokens) => pieces.push_str(&format!("<{}>", tokens[0].logprob)),
                    _ => pieces.push('?'),
                }
            }
        }
        assert_eq!(pieces, "I see<-0.1> skies");
        assert_eq!(state.end().unwrap().text, "I see skies");
    }

    #[test]
    fn a_stream_that_breaks_off_is_no_transcript() {
        let mut state = Streamed::default();
        state.take(r#"{"type":"transcript.text.delta","delta":"I see"}"#).unwrap();
        assert_eq!(state.end().unwrap_err().code, "unavailable");
        let failed = Streamed::default()
            .take(r#"{"type":"error","error":{"code":"rate_limit_exceeded","message":"slow"}}"#);
        assert_eq!(failed.unwrap_err().code, "rate-limited");
    }
}
