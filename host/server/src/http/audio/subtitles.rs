//! Transcripts as subtitles: SubRip and WebVTT (W3C).

use std::fmt::Write;

use atelier_domain::generation::transcription::{TranscribedSegment, Transcript};

/// SubRip.
pub(super) fn srt(transcript: &Transcript) -> String {
    let mut out = String::new();
    for (i, cue) in cues(transcript).iter().enumerate() {
        let (start, end) = (time(cue.start_ms, ','), time(cue.end_ms, ','));
        // Writing to a String cannot fail.
        let _ = write!(out, "{}\n{start} --> {end}\n{}\n\n", i + 1, line(&cue.text));
    }
    out
}

/// WebVTT.
pub(super) fn vtt(transcript: &Transcript) -> String {
    let mut out = "WEBVTT\n\n".to_owned();
    for cue in cues(transcript) {
        let (start, end) = (time(cue.start_ms, '.'), time(cue.end_ms, '.'));
        let text = line(&cue.text).replace('&', "&amp;").replace('<', "&lt;").replace("-->", "--&gt;");
        let _ = write!(out, "{start} --> {end}\n{text}\n\n");
    }
    out
}

/// The segments, or all of the text as one where the provider gave none.
fn cues(transcript: &Transcript) -> Vec<TranscribedSegment> {
    if !transcript.segments.is_empty() {
        return transcript.segments.clone();
    }
    vec![TranscribedSegment {
        text: transcript.text.clone(),
        start_ms: 0,
        end_ms: transcript.duration_ms.unwrap_or(0),
        speaker: None,
        avg_logprob: None,
        no_speech_probability: None,
        extra: None,
    }]
}

/// A blank line would end the cue.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn time(ms: u64, point: char) -> String {
    let (hours, minutes, seconds, milli) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{milli:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtitles_have_their_formats_times_and_no_blank_lines_inside_a_cue() {
        let segment = TranscribedSegment {
            text: " It was\n\nthe best <of> times ".to_owned(),
            start_ms: 3_723_004,
            end_ms: 3_725_000,
            speaker: None,
            avg_logprob: None,
            no_speech_probability: None,
            extra: None,
        };
        let transcript = Transcript { segments: vec![segment], ..Transcript::default() };
        assert_eq!(srt(&transcript), "1\n01:02:03,004 --> 01:02:05,000\nIt was the best <of> times\n\n");
        let vtt = vtt(&transcript);
        assert_eq!(vtt, "WEBVTT\n\n01:02:03.004 --> 01:02:05.000\nIt was the best &lt;of> times\n\n");
    }
}
