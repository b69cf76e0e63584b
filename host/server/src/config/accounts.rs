//! `[accounts]`: people who sign in.

use std::time::Duration;

use atelier_service::accounts::AccountLimits;

use super::Section;

/// How people sign in.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// How long a session may be unused.
    pub session_idle: Duration,
    /// How long it lasts at most.
    pub session_lasts: Duration,
}

impl Accounts {
    pub(super) fn read(section: &mut Section) -> Self {
        let session_idle = Duration::from_secs(3_600 * section.number("session_idle_hours", 24, 1..=8_760));
        let session_lasts = Duration::from_secs(86_400 * section.number("session_days", 30, 1..=365));
        if session_idle > session_lasts {
            section.wrong("session_idle_hours", "must not be longer than session_days");
        }
        Self { session_idle, session_lasts }
    }

    /// Bounds of accounts.
    pub fn limits(&self) -> AccountLimits {
        AccountLimits {
            session_idle: self.session_idle,
            session_lasts: self.session_lasts,
            ..AccountLimits::default()
        }
    }
}
