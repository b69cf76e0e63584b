//! Usage lines: what was metered, and what its price may depend on.

use crate::{UsageLine, pair};

/// The words that `usage-line.meter` knows.
pub mod meter {
    pub const INPUT_TOKENS: &str = "input-tokens";
    pub const OUTPUT_TOKENS: &str = "output-tokens";
    pub const IMAGES: &str = "images";
    pub const VIDEO_MS: &str = "video-ms";
    pub const AUDIO_MS: &str = "audio-ms";
    pub const CHARACTERS: &str = "characters";
    pub const COMPUTE_MS: &str = "compute-ms";
    pub const REQUESTS: &str = "requests";
}

/// `quantity` units of `meter`, with attributes such as `[("cached", "true")]`.
pub fn line(meter: &str, quantity: u64, attributes: &[(&str, &str)]) -> UsageLine {
    UsageLine {
        meter: meter.to_owned(),
        quantity,
        attributes: attributes.iter().map(|(name, value)| pair(*name, *value)).collect(),
    }
}
