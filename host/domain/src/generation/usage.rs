//! Metered quantities.

use serde::{Deserialize, Serialize};

/// One metered quantity, in its meter's unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageLine {
    /// `input-tokens`, `output-tokens`, `images`, `video-ms`, `audio-ms`, `characters`, … (see `wit/`).
    pub meter: String,
    pub quantity: u64,
    /// What a price may depend on, e.g. `cached` = `true`.
    pub attributes: Vec<(String, String)>,
}

/// What is kept of the usage that a plugin reports of one call or job.
const LINES_MAX: usize = 32;
const ATTRIBUTES_MAX: usize = 8;
const WORD_BYTES_MAX: usize = 64;

/// What is kept of reported usage: a plugin's words and their number are bounded, and what is beyond is left out. What is kept has 40 KiB at
/// most wherever it is written.
pub fn bounded(lines: &[UsageLine]) -> Vec<UsageLine> {
    // Without what has to be escaped in JSON, which would grow sixfold.
    let fits = |word: &str| {
        word.len() <= WORD_BYTES_MAX && !word.chars().any(|c| c.is_control() || matches!(c, '"' | '\\'))
    };
    let kept = lines.iter().filter(|line| !line.meter.is_empty() && fits(&line.meter)).take(LINES_MAX);
    let line = |line: &UsageLine| {
        let attributes = line.attributes.iter().filter(|(name, value)| fits(name) && fits(value));
        UsageLine {
            meter: line.meter.clone(),
            quantity: line.quantity,
            attributes: attributes.take(ATTRIBUTES_MAX).cloned().collect(),
        }
    };
    kept.map(line).collect()
}

impl UsageLine {
    /// A line without attributes.
    pub fn new(meter: &str, quantity: u64) -> Self {
        Self { meter: meter.to_owned(), quantity, attributes: Vec::new() }
    }

    fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|(name, value)| name == attribute && value != "false")
    }
}

/// Token counts as client libraries want them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenTotals {
    /// All input tokens, cached ones included.
    pub input: u64,
    pub input_cached: u64,
    /// All output tokens, reasoning included.
    pub output: u64,
    pub output_reasoning: u64,
}

impl TokenTotals {
    /// Sums the token lines. Lines with an attribute are parts beside, not within, the plain line.
    pub fn of(lines: &[UsageLine]) -> Self {
        let mut totals = Self::default();
        for line in lines {
            match line.meter.as_str() {
                "input-tokens" => {
                    totals.input = totals.input.saturating_add(line.quantity);
                    if line.has("cached") {
                        totals.input_cached = totals.input_cached.saturating_add(line.quantity);
                    }
                }
                "output-tokens" => {
                    totals.output = totals.output.saturating_add(line.quantity);
                    if line.has("reasoning") {
                        totals.output_reasoning = totals.output_reasoning.saturating_add(line.quantity);
                    }
                }
                _ => {}
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plugin_reports_is_kept_within_bounds_whatever_it_is() {
        let word = "é".repeat(WORD_BYTES_MAX / 2);
        let line = |meter: &str, attributes: usize| UsageLine {
            meter: meter.to_owned(),
            quantity: u64::MAX,
            attributes: vec![(word.clone(), word.clone()); attributes],
        };
        let kept = bounded(&vec![line(&word, 2 * ATTRIBUTES_MAX); 1_000]);
        assert!(kept.len() == LINES_MAX && kept.iter().all(|line| line.attributes.len() == ATTRIBUTES_MAX));
        assert!(serde_json::to_vec(&kept).expect("JSON").len() <= 40 * 1024);
        for bad in ["", "a\"b", "a\\b", "a\nb", "\u{1}", &"m".repeat(WORD_BYTES_MAX + 1)] {
            let good = line("images", 0);
            assert_eq!(bounded(&[line(bad, 0), good.clone()]), [good], "{bad:?}");
        }
    }

    #[test]
    fn totals_of_absurd_counts_stay_at_the_largest() {
        let lines = [UsageLine::new("input-tokens", u64::MAX), UsageLine::new("input-tokens", 1)];
        assert_eq!(TokenTotals::of(&lines).input, u64::MAX);
    }
}
