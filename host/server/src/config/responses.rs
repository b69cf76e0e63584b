//! `[responses]`: whether answers of `/v1/responses` are kept, and for how long.

use std::time::Duration;

use atelier_service::responses::ResponseLimits;

use super::Section;

/// Bytes of the answers that one request goes on from: as much as it may send itself.
const CHAIN_BYTES_MAX: u64 = 20 << 20;
/// Answers on their way to the disk.
const PENDING_MAX: usize = 1_024;

/// What is kept of answers.
#[derive(Clone, Copy, Debug)]
pub struct Responses {
    is_kept: bool,
    kept_for: Duration,
    chain_max: usize,
}

impl Responses {
    pub(super) fn read(section: &mut Section) -> Self {
        Self {
            is_kept: section.flag("store", true),
            kept_for: Duration::from_secs(section.number("keep_days", 30, 1..=3_650) * 24 * 3_600),
            chain_max: section.number("chain", 256, 1..=10_000) as usize,
        }
    }

    pub(super) fn limits(self, quota_bytes: u64) -> ResponseLimits {
        ResponseLimits {
            is_kept: self.is_kept,
            kept_for: self.kept_for,
            quota_bytes,
            chain_max: self.chain_max,
            chain_bytes_max: CHAIN_BYTES_MAX,
            pending_max: PENDING_MAX,
        }
    }
}
