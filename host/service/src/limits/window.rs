//! One caller's sliding window: a log of counts, exact to the millisecond for small limits.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Class, Decision, Rate};

/// Log entries of one window. Up to this limit each request has its own moment; above it, requests share slots of a
/// fraction of the window, each counted until its last possible moment has left the window.
const ENTRIES_MAX: u64 = 256;

#[derive(Debug, Default)]
pub(super) struct Window {
    /// (latest moment that the slot may stand for, requests in it), oldest first. Milliseconds.
    log: VecDeque<(u64, u64)>,
    total: u64,
}

impl Window {
    pub(super) fn is_idle(&self, rate: Rate, now_ms: u64) -> bool {
        self.log.back().is_none_or(|(moment, _)| now_ms >= moment + window_ms(rate))
    }

    pub(super) fn take(&mut self, class: Class, rate: Rate, now: u64) -> Decision {
        let window = window_ms(rate);
        while let Some((moment, count)) = self.log.front().copied() {
            if now < moment + window {
                break;
            }
            self.total -= count;
            self.log.pop_front();
        }
        let retry_after = if self.total < rate.requests {
            self.count(now, slot_ms(rate));
            None
        } else {
            let oldest = self.log.front().map_or(now, |(moment, _)| *moment);
            Some(Duration::from_millis((oldest + window).saturating_sub(now).max(1)))
        };
        let newest = self.log.back().map_or(now, |(moment, _)| *moment);
        Decision {
            class,
            limit: rate.requests,
            window: rate.window,
            remaining: rate.requests.saturating_sub(self.total),
            reset: Duration::from_millis((newest + window).saturating_sub(now)),
            retry_after,
        }
    }

    fn count(&mut self, now: u64, slot: u64) {
        let end = now / slot * slot + (slot - 1);
        match self.log.back_mut() {
            Some((moment, count)) if *moment == end => *count += 1,
            _ => self.log.push_back((end, 1)),
        }
        self.total += 1;
    }
}

fn window_ms(rate: Rate) -> u64 {
    u64::try_from(rate.window.as_millis()).unwrap_or(u64::MAX / 4).max(1)
}

fn slot_ms(rate: Rate) -> u64 {
    if rate.requests <= ENTRIES_MAX { 1 } else { (window_ms(rate) / ENTRIES_MAX).max(1) }
}
