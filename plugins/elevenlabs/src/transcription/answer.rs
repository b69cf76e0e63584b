//! A transcript's document.

use atelier_plugin_sdk::transcription::{Segment, Transcript, Word};
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{Failure, json};
use serde::Deserialize;

#[derive(Deserialize)]
struct Answer {
    text: String,
    language_code: Option<String>,
    audio_duration_secs: Option<f64>,
    #[serde(default)]
    words: Vec<Piece>,
}

/// A word, the space between two, or a sound that is no speech.
#[derive(Deserialize)]
struct Piece {
    text: String,
    start: Option<f64>,
    end: Option<f64>,
    #[serde(rename = "type", default)]
    kind: String,
    speaker_id: Option<String>,
}

/// The transcript of an answer's body.
pub fn transcript(body: &[u8], word_times: bool, segment_times: bool) -> Result<Transcript, Failure> {
    let answer: Answer = json::parse(body)?;
    let last = answer.words.iter().filter_map(|piece| piece.end).fold(None, later);
    let duration_ms = answer.audio_duration_secs.or(last).map(milliseconds);
    Ok(Transcript {
        words: if word_times { words(&answer.words) } else { Vec::new() },
        segments: if segment_times { segments(&answer.words) } else { Vec::new() },
        text: answer.text,
        language: answer.language_code,
        duration_ms,
        logprobs: Vec::new(),
        extra: None,
        usage: duration_ms.map(|ms| usage::line(meter::AUDIO_MS, ms, &[])).into_iter().collect(),
    })
}

fn later(latest: Option<f64>, end: f64) -> Option<f64> {
    Some(latest.map_or(end, |latest| latest.max(end)))
}

fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

fn words(pieces: &[Piece]) -> Vec<Word> {
    let word = |piece: &Piece| {
        let (start, end) = (piece.start?, piece.end?);
        (piece.kind != "spacing").then(|| Word {
            text: piece.text.clone(),
            start_ms: milliseconds(start),
            end_ms: milliseconds(end),
            speaker: piece.speaker_id.clone(),
            extra: None,
        })
    };
    pieces.iter().filter_map(word).collect()
}

/// What one speaker says in a row, sentence by sentence.
fn segments(pieces: &[Piece]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut ended = true;
    for piece in pieces {
        let (Some(start), Some(end)) = (piece.start, piece.end) else { continue };
        let goes_on = segments.last().is_some_and(|segment| !ended && segment.speaker == piece.speaker_id);
        if piece.kind == "spacing" && !goes_on {
            continue;
        }
        if let Some(segment) = segments.last_mut().filter(|_| goes_on) {
            segment.text.push_str(&piece.text);
            segment.end_ms = milliseconds(end);
        } else {
            segments.push(Segment {
                text: piece.text.clone(),
                start_ms: milliseconds(start),
                end_ms: milliseconds(end),
                speaker: piece.speaker_id.clone(),
                avg_logprob: None,
                no_speech_probability: None,
                extra: None,
            });
        }
        if piece.kind != "spacing" {
            ended = piece.text.ends_with(['.', '!', '?', '。', '！', '？']);
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"language_code":"en","language_probability":0.98,"text":"Hello there. Hi!","words":[
        {"text":"Hello","start":0.1,"end":0.5,"type":"word","speaker_id":"a"},
        {"text":" ","start":0.5,"end":0.6,"type":"spacing","speaker_id":"a"},
        {"text":"there.","start":0.6,"end":0.9,"type":"word","speaker_id":"a"},
        {"text":" ","start":0.9,"end":1.0,"type":"spacing","speaker_id":"a"},
        {"text":"Hi!","start":1.0,"end":1.25,"type":"word","speaker_id":"b"}]}"#;

    #[test]
    fn words_segments_and_length_are_read() {
        let transcript = transcript(BODY.as_bytes(), true, true).unwrap();
        assert_eq!(
            (transcript.text.as_str(), transcript.language.as_deref()),
            ("Hello there. Hi!", Some("en"))
        );
        let words: Vec<_> =
            transcript.words.iter().map(|word| (word.text.as_str(), word.start_ms, word.end_ms)).collect();
        assert_eq!(words, [("Hello", 100, 500), ("there.", 600, 900), ("Hi!", 1_000, 1_250)]);
        let segments: Vec<_> = transcript
            .segments
            .iter()
            .map(|segment| {
                (segment.text.as_str(), segment.speaker.as_deref(), segment.start_ms, segment.end_ms)
            })
            .collect();
        assert_eq!(segments, [("Hello there.", Some("a"), 100, 900), ("Hi!", Some("b"), 1_000, 1_250)]);
        assert_eq!((transcript.duration_ms, transcript.usage[0].quantity), (Some(1_250), 1_250));
    }

    #[test]
    fn times_come_only_when_they_are_asked_for() {
        let transcript = transcript(BODY.as_bytes(), false, false).unwrap();
        assert!(transcript.words.is_empty() && transcript.segments.is_empty());
    }

    #[test]
    fn what_is_no_transcript_is_a_bad_response() {
        assert_eq!(transcript(b"{}", true, true).unwrap_err().code, "bad-response");
    }
}
