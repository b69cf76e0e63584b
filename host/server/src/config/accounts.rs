//! `[accounts]`: people who sign in.

use std::collections::HashSet;
use std::time::Duration;

use atelier_domain::account::email::EmailAddress;
use atelier_service::accounts::AccountLimits;
use atelier_service::enrolment::{EnrolmentLimits, Pages, TOKEN_PLACE};
use atelier_service::limits::Rate;

use super::{Mail, Section};

/// Domains that are nobody's (RFC 2606), and words that stand for one's own.
const PLACEHOLDERS: [&str; 12] = [
    "example",
    "example.com",
    "example.net",
    "example.org",
    "invalid",
    "test",
    "localhost",
    "local",
    "domain.com",
    "yourdomain.com",
    "your-domain.com",
    "yourcompany.com",
];

/// How people sign up and in.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// How long a session may be unused.
    pub session_idle: Duration,
    /// How long it lasts at most.
    pub session_lasts: Duration,
    /// Callers may bring their own keys of providers.
    pub provider_keys: bool,
    /// Anybody may sign up.
    pub sign_up: bool,
    /// From one address.
    pub sign_ups_per_hour: u64,
    /// Asked for from one address.
    pub mails_per_10_minutes: u64,
    /// To one mailbox.
    pub mailbox_per_hour: u64,
    /// Pages of the operator's own to which mails lead.
    pub pages: Pages,
    /// Addresses whose users are administrators once they are verified.
    pub administrators: HashSet<String>,
}

impl Accounts {
    pub(super) fn read(section: &mut Section) -> Self {
        let session_idle = Duration::from_secs(3_600 * section.number("session_idle_hours", 24, 1..=8_760));
        let session_lasts = Duration::from_secs(86_400 * section.number("session_days", 30, 1..=365));
        if session_idle > session_lasts {
            section.wrong("session_idle_hours", "must not be longer than session_days");
        }
        let provider_keys = section.flag("provider_keys", true);
        let sign_up = section.flag("sign_up", false);
        let mut limit = |key, usual| section.number(key, usual, 1..=1_000_000);
        let sign_ups_per_hour = limit("sign_ups_per_hour", 3);
        let mails_per_10_minutes = limit("mails_per_10_minutes", 5);
        let mailbox_per_hour = limit("mailbox_per_hour", 3);
        let pages = Pages { verify: page(section, "verify_page"), reset: page(section, "reset_page") };
        let mut administrators = HashSet::new();
        for text in section.texts("administrators") {
            match text.parse::<EmailAddress>() {
                Ok(address) if is_placeholder(&address) => section.wrong(
                    "administrators",
                    format!("{text} stands for an address and is none: name one that you get mail at"),
                ),
                Ok(address) => drop(administrators.insert(address.as_str().to_owned())),
                Err(error) => section.wrong("administrators", format!("{text:?} {error}")),
            }
        }
        Self {
            session_idle,
            session_lasts,
            provider_keys,
            sign_up,
            sign_ups_per_hour,
            mails_per_10_minutes,
            mailbox_per_hour,
            pages,
            administrators,
        }
    }

    /// What wants mail has it.
    pub(super) fn check_mail(&self, root: &Section, mail: Option<&Mail>) {
        let why = "needs [mail], with the server that takes this server's mail";
        if mail.is_none() && self.sign_up {
            root.wrong("accounts.sign_up", why);
        }
        if mail.is_none() && !self.administrators.is_empty() {
            root.wrong("accounts.administrators", format!("{why}: an address counts once it is verified"));
        }
    }

    /// Bounds of accounts.
    pub fn limits(&self) -> AccountLimits {
        AccountLimits {
            session_idle: self.session_idle,
            session_lasts: self.session_lasts,
            administrators: self.administrators.clone(),
            ..AccountLimits::default()
        }
    }

    /// Bounds of sign-up and mail.
    pub fn enrolment(&self) -> EnrolmentLimits {
        let usual = EnrolmentLimits::default();
        EnrolmentLimits {
            is_open: self.sign_up,
            pages: self.pages.clone(),
            sign_ups: Rate { requests: self.sign_ups_per_hour, ..usual.sign_ups },
            mails: Rate { requests: self.mails_per_10_minutes, ..usual.mails },
            mailbox: Rate { requests: self.mailbox_per_hour, ..usual.mailbox },
            ..usual
        }
    }
}

fn page(section: &mut Section, key: &'static str) -> Option<String> {
    let page = section.text(key)?;
    let is_address = page.starts_with("https://") || page.starts_with("http://");
    let is_plain = page.len() <= 500 && page.bytes().all(|b| b.is_ascii_graphic());
    if !(is_address && is_plain && page.contains(TOKEN_PLACE)) {
        section.wrong(
            key,
            format!("must be the address of a page with {TOKEN_PLACE} where the token goes, such as \"https://app.example.com/verify#{TOKEN_PLACE}\""),
        );
        return None;
    }
    Some(page)
}

fn is_placeholder(address: &EmailAddress) -> bool {
    let domain = address.domain();
    PLACEHOLDERS
        .iter()
        .any(|name| domain.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_stand_for_others_are_known() {
        let is = |text: &str| is_placeholder(&text.parse().expect(text));
        for text in [
            "admin@example.com",
            "admin@mail.example.org",
            "a@b.test",
            "me@yourdomain.com",
            "x@host.localhost",
        ] {
            assert!(is(text), "{text}");
        }
        for text in ["ops@atelier.dev", "a@myexample.com", "a@contest.io", "a@test.io"] {
            assert!(!is(text), "{text}");
        }
    }
}
