//! `[audit]`, `[events]`, `[webhooks]` and `[callbacks]`.

use std::collections::HashMap;
use std::time::Duration;

use atelier_runtime::egress::HostPattern;
use atelier_service::callbacks::Network;

use super::Section;

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// The audit log.
#[derive(Clone, Copy, Debug)]
pub struct Audit {
    pub kept_for: Duration,
}

impl Audit {
    pub(super) fn read(section: &mut Section) -> Self {
        Self { kept_for: DAY * section.number("keep_days", 365, 1..=36_500) as u32 }
    }
}

/// Events of jobs.
#[derive(Clone, Copy, Debug)]
pub struct Events {
    /// Events kept of each user.
    pub kept_per_user: u64,
    pub kept_for: Duration,
    /// Open feeds of one user.
    pub feeds_per_user: usize,
    /// Open feeds of all users.
    pub feeds_max: usize,
}

impl Events {
    pub(super) fn read(section: &mut Section) -> Self {
        Self {
            kept_per_user: section.number("keep_per_user", 10_000, 1..=10_000_000),
            kept_for: DAY * section.number("keep_days", 7, 1..=3650) as u32,
            feeds_per_user: section.number("feeds_per_user", 16, 1..=10_000) as usize,
            feeds_max: section.number("feeds", 4096, 1..=1_000_000) as usize,
        }
    }
}

/// Outgoing webhooks.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// `host:port` that may be told although private or plain HTTP.
    pub private_hosts: Vec<String>,
    pub endpoints_per_user: usize,
    /// For one attempt.
    pub attempt_max: Duration,
    /// Messages that are sent at once.
    pub concurrent: usize,
    /// Of these to the endpoints of one user.
    pub concurrent_per_user: usize,
    /// How long deliveries are listed.
    pub kept_for: Duration,
}

impl Webhooks {
    pub(super) fn read(section: &mut Section) -> Self {
        let private_hosts = section.texts("private_hosts");
        for host in private_hosts.iter().filter(|host| HostPattern::parse(host).is_none()) {
            section.wrong("private_hosts", format!("{host:?} is not host:port, such as \"10.0.0.7:8080\""));
        }
        Self {
            private_hosts,
            endpoints_per_user: section.number("endpoints_per_user", 10, 1..=100) as usize,
            attempt_max: Duration::from_secs(section.number("attempt_seconds", 15, 1..=120)),
            concurrent: section.number("concurrent", 32, 1..=1024) as usize,
            concurrent_per_user: section.number("concurrent_per_user", 8, 1..=1024) as usize,
            kept_for: DAY * section.number("keep_days", 30, 4..=3650) as u32,
        }
    }
}

/// Providers' callbacks.
#[derive(Clone, Debug)]
pub struct Callbacks {
    /// Instance → the only addresses from which its provider may call.
    pub senders: HashMap<String, Vec<Network>>,
}

impl Callbacks {
    pub(super) fn read(section: &mut Section) -> Self {
        let senders = section.map("senders", |value| {
            const FORM: &str = "must be a list of addresses such as [\"203.0.113.0/24\", \"2001:db8::7\"]";
            let items = value.as_array().ok_or(FORM)?;
            let networks = items.iter().map(|item| item.as_str()?.parse().ok());
            networks.collect::<Option<Vec<Network>>>().ok_or_else(|| FORM.to_owned())
        });
        Self { senders: senders.into_iter().collect() }
    }
}
