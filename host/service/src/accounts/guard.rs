//! Against guessing: after so many failures within a time, each further attempt has to wait for longer than the one before.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many failures are let go, and what then happens.
#[derive(Clone, Copy, Debug)]
pub struct GuardLimits {
    /// Failures within `window` after which attempts have to wait.
    pub failures_max: usize,
    /// They slide out of it one by one.
    pub window: Duration,
    /// The wait after the first failure too many; twice as long after each further one.
    pub wait: Duration,
    pub wait_max: Duration,
}

/// Subjects remembered; beyond it, those that were not seen before are refused.
const SUBJECTS_MAX: usize = 65_536;

/// Counts failures by subject.
#[derive(Debug)]
pub(super) struct Guard<S> {
    limits: GuardLimits,
    seen: Mutex<HashMap<S, Failures>>,
}

#[derive(Debug, Default)]
struct Failures {
    /// When they were, in milliseconds, oldest first.
    moments: VecDeque<u64>,
    /// Until then every attempt is refused.
    waits_until: u64,
    /// Failures beyond the limit since the last success.
    beyond: u32,
}

impl<S: Hash + Eq + Clone> Guard<S> {
    pub(super) fn new(limits: GuardLimits) -> Self {
        Self { limits, seen: Mutex::default() }
    }

    /// Begins an attempt. It counts as a failure until it is told to be none, so that many at once are no more than one after
    /// another. `now_ms` never goes backwards.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn attempt(&self, subject: &S, now_ms: u64) -> Result<(), Duration> {
        let mut seen = self.lock();
        if !seen.contains_key(subject) && seen.len() >= SUBJECTS_MAX {
            let window = ms(self.limits.window);
            seen.retain(|_, failures| failures.is_remembered(now_ms, window));
            if seen.len() >= SUBJECTS_MAX {
                return Err(self.limits.wait);
            }
        }
        let failures = seen.entry(subject.clone()).or_default();
        if now_ms < failures.waits_until {
            return Err(Duration::from_millis(failures.waits_until - now_ms));
        }
        failures.forget(now_ms, ms(self.limits.window));
        failures.moments.push_back(now_ms);
        if failures.moments.len() > self.limits.failures_max {
            failures.moments.pop_front();
        }
        if failures.moments.len() >= self.limits.failures_max {
            let wait = ms(self.limits.wait).saturating_mul(1 << failures.beyond.min(20));
            failures.waits_until = now_ms + wait.min(ms(self.limits.wait_max));
            failures.beyond += 1;
        }
        Ok(())
    }

    /// The subject's last attempt was none of a stranger: all is forgotten.
    pub(super) fn succeeded(&self, subject: &S) {
        self.lock().remove(subject);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<S, Failures>> {
        // The counts stay consistent whatever panics beside them, so that a poisoned lock is still good.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failures {
    fn forget(&mut self, now: u64, window: u64) {
        while self.moments.front().is_some_and(|moment| now >= moment + window) {
            self.moments.pop_front();
        }
        if self.moments.is_empty() {
            self.beyond = 0;
        }
    }

    fn is_remembered(&self, now: u64, window: u64) -> bool {
        now < self.waits_until || self.moments.back().is_some_and(|moment| now < moment + window)
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: GuardLimits = GuardLimits {
        failures_max: 5,
        window: Duration::from_secs(900),
        wait: Duration::from_secs(30),
        wait_max: Duration::from_secs(100),
    };

    #[test]
    fn brute_force_waits_for_longer_after_each_failure() {
        let guard = Guard::new(LIMITS);
        let attempt = |seconds: u64| guard.attempt(&"ada", seconds * 1000);
        for second in 0..5 {
            assert_eq!(attempt(second), Ok(()), "{second}");
        }
        let seconds = |n| Err(Duration::from_secs(n));
        assert_eq!(attempt(4), seconds(30));
        assert_eq!(attempt(14), seconds(20), "a refused attempt counts nothing and changes nothing");
        assert_eq!(attempt(34), Ok(()));
        assert_eq!(attempt(34), seconds(60));
        assert_eq!(attempt(94), Ok(()));
        assert_eq!(attempt(94), seconds(100), "there is a longest wait");
        assert_eq!(guard.attempt(&"bob", 94_000), Ok(()), "another is none the worse");
    }

    #[test]
    fn failures_slide_out_one_by_one_and_a_success_clears_them() {
        let guard = Guard::new(LIMITS);
        for second in [0, 100, 200, 300] {
            assert_eq!(guard.attempt(&"ada", second * 1000), Ok(()));
        }
        // The first has gone: these are four again.
        assert_eq!(guard.attempt(&"ada", 900_000), Ok(()));
        assert_eq!(guard.attempt(&"ada", 900_000), Ok(()));
        assert!(guard.attempt(&"ada", 900_000).is_err(), "the fifth within the window");
        guard.succeeded(&"ada");
        assert_eq!(guard.attempt(&"ada", 900_000), Ok(()));
        assert_eq!(guard.lock().len(), 1);
    }

    #[test]
    fn brute_force_under_ever_new_names_finds_no_room() {
        let guard = Guard::new(LIMITS);
        for name in 0..SUBJECTS_MAX {
            assert_eq!(guard.attempt(&name, 0), Ok(()));
        }
        assert!(guard.attempt(&SUBJECTS_MAX, 1).is_err());
        assert_eq!(guard.attempt(&7, 1), Ok(()), "those that are known go on");
        assert_eq!(guard.attempt(&SUBJECTS_MAX, 900_000), Ok(()), "what is over makes room");
        assert!(guard.lock().len() < 10);
    }
}
