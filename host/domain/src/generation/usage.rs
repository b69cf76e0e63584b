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
                    totals.input += line.quantity;
                    if line.has("cached") {
                        totals.input_cached += line.quantity;
                    }
                }
                "output-tokens" => {
                    totals.output += line.quantity;
                    if line.has("reasoning") {
                        totals.output_reasoning += line.quantity;
                    }
                }
                _ => {}
            }
        }
        totals
    }
}
