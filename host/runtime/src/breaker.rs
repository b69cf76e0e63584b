//! A circuit breaker: at half failures it opens, refuses at once for a while, then lets one trial through.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use atelier_domain::provider::BreakerState;

/// Outcomes that are looked at.
const WINDOW: usize = 20;
/// Fewer outcomes than this say nothing.
const OUTCOMES_MIN: usize = 5;
/// Outcomes older than this say nothing.
const AGE_MAX_MS: u64 = 60_000;
/// How long it stays open the first time; doubled by each failed trial.
const OPEN_MS: u64 = 30_000;
const OPEN_MS_MAX: u64 = 300_000;

#[derive(Debug)]
enum State {
    Closed,
    Open {
        until_ms: u64,
        wait_ms: u64,
        reason: String,
    },
    /// One trial runs since then.
    Trial {
        since_ms: u64,
        wait_ms: u64,
        reason: String,
    },
}

/// A breaker; times are milliseconds of the host's monotonic clock.
#[derive(Debug)]
pub struct Breaker {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    outcomes: VecDeque<(u64, bool)>,
}

/// The breaker is open.
#[derive(Debug, PartialEq, Eq)]
pub struct Open {
    pub retry_after: Duration,
    pub reason: String,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { state: State::Closed, outcomes: VecDeque::with_capacity(WINDOW) }) }
    }
}

impl Breaker {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call may go ahead.
    ///
    /// # Errors
    /// It is open.
    pub fn admit(&self, now_ms: u64) -> Result<(), Open> {
        let mut inner = self.lock();
        let refused = |until: u64, reason: &str| {
            Err(Open {
                retry_after: Duration::from_millis(until.saturating_sub(now_ms).max(1)),
                reason: reason.to_owned(),
            })
        };
        match &inner.state {
            State::Closed => Ok(()),
            State::Open { until_ms, reason, .. } if now_ms < *until_ms => refused(*until_ms, reason),
            // A trial whose caller left without an outcome does not keep the breaker shut for ever.
            State::Trial { since_ms, wait_ms, reason } if now_ms < since_ms + wait_ms => {
                refused(since_ms + wait_ms, reason)
            }
            State::Open { wait_ms, reason, .. } | State::Trial { wait_ms, reason, .. } => {
                inner.state = State::Trial { since_ms: now_ms, wait_ms: *wait_ms, reason: reason.clone() };
                Ok(())
            }
        }
    }

    /// Notes how a call went; `failure` says what went wrong.
    pub fn record(&self, now_ms: u64, failure: Option<&str>) {
        let mut inner = self.lock();
        if let State::Trial { wait_ms, .. } = &inner.state {
            let wait_ms = *wait_ms;
            inner.outcomes.clear();
            inner.state = match failure {
                None => State::Closed,
                Some(reason) => {
                    let wait_ms = (wait_ms * 2).min(OPEN_MS_MAX);
                    State::Open { until_ms: now_ms + wait_ms, wait_ms, reason: reason.to_owned() }
                }
            };
            return;
        }
        if failure.is_none() && inner.outcomes.is_empty() {
            return;
        }
        if inner.outcomes.len() == WINDOW {
            inner.outcomes.pop_front();
        }
        inner.outcomes.push_back((now_ms, failure.is_some()));
        while inner.outcomes.front().is_some_and(|(at, _)| now_ms.saturating_sub(*at) > AGE_MAX_MS) {
            inner.outcomes.pop_front();
        }
        let failures = inner.outcomes.iter().filter(|(_, failed)| *failed).count();
        if let Some(reason) = failure
            && inner.outcomes.len() >= OUTCOMES_MIN
            && failures * 2 >= inner.outcomes.len()
            && matches!(inner.state, State::Closed)
        {
            inner.outcomes.clear();
            inner.state =
                State::Open { until_ms: now_ms + OPEN_MS, wait_ms: OPEN_MS, reason: reason.to_owned() };
        }
    }

    /// Its state, for operators.
    pub fn state(&self, now_ms: u64) -> BreakerState {
        match &self.lock().state {
            State::Closed => BreakerState::Closed,
            State::Open { until_ms, reason, .. } if now_ms < *until_ms => BreakerState::Open {
                retry_after: Duration::from_millis(until_ms - now_ms),
                reason: reason.clone(),
            },
            State::Open { .. } | State::Trial { .. } => BreakerState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_at_half_failures_and_tries_again_after_thirty_seconds() {
        let breaker = Breaker::default();
        for i in 0..5 {
            assert!(breaker.admit(i).is_ok());
            breaker.record(i, Some("it trapped"));
        }
        let open = breaker.admit(10).expect_err("open");
        assert_eq!(open.reason, "it trapped");
        assert!(open.retry_after <= Duration::from_secs(30));
        assert!(breaker.admit(30_005).is_ok(), "the trial");
        assert!(breaker.admit(30_006).is_err(), "only one trial");
        breaker.record(30_010, None);
        assert_eq!(breaker.state(30_011), BreakerState::Closed);
    }

    #[test]
    fn a_failed_trial_doubles_the_wait_and_few_failures_do_not_open_it() {
        let breaker = Breaker::default();
        for i in 0..4 {
            breaker.record(i, Some("x"));
        }
        assert!(breaker.admit(5).is_ok());
        breaker.record(5, Some("x"));
        assert!(breaker.admit(30_006).is_ok());
        breaker.record(30_007, Some("x"));
        assert!(breaker.admit(60_100).is_err(), "still open after the first wait");
        assert!(breaker.admit(90_100).is_ok());
    }

    #[test]
    fn successes_outweigh_failures() {
        let breaker = Breaker::default();
        for i in 0..60 {
            breaker.record(i, (i % 3 == 0).then_some("x"));
            assert!(breaker.admit(i).is_ok(), "{i}");
        }
    }
}
