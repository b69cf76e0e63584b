//! How much of everything, and for how long.

use std::collections::HashSet;
use std::time::Duration;

use super::{GuardLimits, HasherLimits};

/// Bounds of accounts.
#[derive(Clone, Debug)]
pub struct AccountLimits {
    pub hasher: HasherLimits,
    /// Failures to sign in by one name from one address.
    pub failures_here: GuardLimits,
    /// By one name from anywhere: more, and waits that do not keep its owner out for long.
    pub failures_anywhere: GuardLimits,
    /// A user's oldest session ends where they begin one more.
    pub sessions_per_user: usize,
    /// How long a session may be unused.
    pub session_idle: Duration,
    /// How long it lasts at most.
    pub session_lasts: Duration,
    /// Addresses, in lower case, whose users are administrators once they have shown that they get mail there.
    pub administrators: HashSet<String>,
}

impl Default for AccountLimits {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let window = minutes(15);
        Self {
            hasher: HasherLimits::default(),
            failures_here: GuardLimits { failures_max: 5, window, wait: minutes(1), wait_max: window },
            failures_anywhere: GuardLimits {
                failures_max: 50,
                window,
                wait: Duration::from_secs(1),
                wait_max: minutes(1),
            },
            sessions_per_user: 50,
            session_idle: minutes(24 * 60),
            session_lasts: minutes(30 * 24 * 60),
            administrators: HashSet::new(),
        }
    }
}
