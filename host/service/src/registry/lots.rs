//! Lots drawn among an alias's targets.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers that spread evenly: SplitMix64 (Steele, Lea and Flood, 2014). Not for secrets.
#[derive(Debug)]
pub(super) struct Lots(AtomicU64);

impl Lots {
    /// The same seed draws the same lots.
    pub(super) fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Draws differently in each process.
    pub(super) fn new() -> Self {
        let mut seed = [0; 8];
        // A machine without randomness spreads requests all the same.
        let _same_lots_each_time = getrandom::fill(&mut seed);
        Self::seeded(u64::from_le_bytes(seed))
    }

    pub(super) fn draw(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut lot = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        lot = (lot ^ (lot >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        lot = (lot ^ (lot >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        lot ^ (lot >> 31)
    }
}
