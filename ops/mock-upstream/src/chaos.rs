//! A provider on a bad day: some requests fail, each in one of a few ways, drawn from a seed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::fault::{Fault, FaultKind};

/// How many of a thousand requests each fault befalls, and the fault's value where it has one. Few enough that a client's
/// circuit breaker, which opens at half failures, stays closed for the most part.
const PER_MILLE: [(u64, FaultKind, Option<&str>); 6] = [
    (40, FaultKind::RateLimited, Some("1")),
    (15, FaultKind::ServerError, None),
    (15, FaultKind::Reset, None),
    (15, FaultKind::Cut, None),
    (40, FaultKind::Slow, Some("150")),
    (10, FaultKind::Slow, Some("600")),
];

/// Draws faults.
#[derive(Debug)]
pub(crate) struct Chaos {
    state: Mutex<u64>,
    is_over: AtomicBool,
}

impl Chaos {
    /// The bad day of a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: Mutex::new(seed), is_over: AtomicBool::new(false) }
    }

    /// The fault that befalls the next request, if any.
    pub fn draw(&self) -> Option<Fault> {
        if self.is_over.load(Ordering::Relaxed) {
            return None;
        }
        let mut drawn = self.next() % 1000;
        for (odds, kind, value) in PER_MILLE {
            match drawn.checked_sub(odds) {
                None => return Some(Fault { kind, value: value.map(str::to_owned) }),
                Some(rest) => drawn = rest,
            }
        }
        None
    }

    /// The day is over: nothing fails any more.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators").
    fn next(&self) -> u64 {
        // One assignment: a panic elsewhere leaves nothing half-done.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_comes_as_often_as_it_should_and_the_same_for_a_seed() {
        let drawn = |seed| {
            let chaos = Chaos::new(seed);
            (0..20_000).map(|_| chaos.draw()).collect::<Vec<_>>()
        };
        let seen = drawn(7);
        assert_eq!(seen, drawn(7));
        assert_ne!(seen, drawn(8));
        for (odds, kind, value) in PER_MILLE {
            let wanted = Fault { kind, value: value.map(str::to_owned) };
            let times = seen.iter().flatten().filter(|fault| **fault == wanted).count() as u64;
            assert!((odds * 14..=odds * 26).contains(&times), "{wanted} came {times} times");
        }
    }

    #[test]
    fn nothing_fails_after_the_end() {
        let chaos = Chaos::new(1);
        chaos.end();
        assert!((0..1000).all(|_| chaos.draw().is_none()));
    }
}
