//! Token counts as usage lines. The lines of one meter do not overlap: they add up to the total.

use atelier_plugin_sdk::{UsageLine, usage};
use serde::Deserialize;
use usage::meter::{INPUT_TOKENS, OUTPUT_TOKENS};

/// The `usage` of a chat completion.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    /// Where some compatible servers count what a cache served.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

impl Usage {
    pub fn lines(&self) -> Vec<UsageLine> {
        let input = self.prompt_tokens_details.as_ref();
        let cached =
            input.and_then(|details| details.cached_tokens).or(self.prompt_cache_hit_tokens).unwrap_or(0);
        let heard = input.and_then(|details| details.audio_tokens).unwrap_or(0);
        let output = self.completion_tokens_details.as_ref();
        let reasoned = output.and_then(|details| details.reasoning_tokens).unwrap_or(0);
        let spoken = output.and_then(|details| details.audio_tokens).unwrap_or(0);
        let mut lines = Vec::with_capacity(4);
        split(&mut lines, INPUT_TOKENS, self.prompt_tokens.unwrap_or(0), cached, ("cached", "true"), heard);
        split(
            &mut lines,
            OUTPUT_TOKENS,
            self.completion_tokens.unwrap_or(0),
            reasoned,
            ("reasoning", "true"),
            spoken,
        );
        lines
    }
}

/// `total` tokens, of which `special` have an attribute and `audio` stand for sound.
fn split(
    lines: &mut Vec<UsageLine>,
    meter: &str,
    total: u64,
    special: u64,
    attribute: (&str, &str),
    audio: u64,
) {
    let special = special.min(total);
    let audio = audio.min(total - special);
    let plain = total - special - audio;
    if plain > 0 || total == 0 {
        lines.push(usage::line(meter, plain, &[]));
    }
    if special > 0 {
        lines.push(usage::line(meter, special, &[attribute]));
    }
    if audio > 0 {
        lines.push(usage::line(meter, audio, &[("modality", "audio")]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line's meter, quantity and attributes.
    type Flat = (String, u64, Vec<(String, String)>);

    fn lines(json: &str) -> Vec<Flat> {
        let usage: Usage = serde_json::from_str(json).unwrap();
        let flat = |line: UsageLine| {
            let attributes = line.attributes.into_iter().map(|pair| (pair.name, pair.value));
            (line.meter, line.quantity, attributes.collect())
        };
        usage.lines().into_iter().map(flat).collect()
    }

    fn line(meter: &str, quantity: u64, attribute: Option<(&str, &str)>) -> Flat {
        let attributes = attribute.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        (meter.to_owned(), quantity, attributes.collect())
    }

    #[test]
    fn cached_reasoning_and_audio_tokens_are_told_apart_and_add_up() {
        let usage = r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":10},
            "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":0,"accepted_prediction_tokens":0}}"#;
        assert_eq!(
            lines(usage),
            [
                line("input-tokens", 30, None),
                line("input-tokens", 60, Some(("cached", "true"))),
                line("input-tokens", 10, Some(("modality", "audio"))),
                line("output-tokens", 20, None),
                line("output-tokens", 30, Some(("reasoning", "true"))),
            ]
        );
    }

    #[test]
    fn counts_that_contradict_each_other_never_exceed_the_total() {
        let usage = r#"{"prompt_tokens":5,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":9,"audio_tokens":9}}"#;
        assert_eq!(
            lines(usage),
            [line("input-tokens", 5, Some(("cached", "true"))), line("output-tokens", 0, None)]
        );
    }

    #[test]
    fn details_may_be_absent_or_null() {
        let usage = r#"{"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":null}"#;
        assert_eq!(lines(usage), [line("input-tokens", 5, None), line("output-tokens", 2, None)]);
    }
}
