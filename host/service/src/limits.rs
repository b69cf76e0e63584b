//! How often a caller may ask: a true sliding window for each caller and class of route.

mod window;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use atelier_domain::account::email::EmailAddress;
use atelier_domain::id::{InstanceName, JobId, LinkId, UserId};
use atelier_domain::mail::MailKind;

use window::Window;

const SHARDS: usize = 64;
/// Callers remembered in one shard; beyond it, callers that were not seen before are refused.
const CALLERS_PER_SHARD_MAX: usize = 16_384;

/// A class of routes that share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    Generation,
    Transcription,
    Upload,
    Analysis,
    Chat,
    Titles,
    Analytics,
    Shares,
    Publishing,
    Status,
    Administration,
    SignIn,
    /// Providers' callbacks, counted by the address that is called.
    Callback,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 13] = [
        Class::Generation,
        Class::Transcription,
        Class::Upload,
        Class::Analysis,
        Class::Chat,
        Class::Titles,
        Class::Analytics,
        Class::Shares,
        Class::Publishing,
        Class::Status,
        Class::Administration,
        Class::SignIn,
        Class::Callback,
    ];

    /// The word in configuration, headers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Generation => "generation",
            Class::Transcription => "transcription",
            Class::Upload => "upload",
            Class::Analysis => "analysis",
            Class::Chat => "chat",
            Class::Titles => "titles",
            Class::Analytics => "analytics",
            Class::Shares => "shares",
            Class::Publishing => "publishing",
            Class::Status => "status",
            Class::Administration => "administration",
            Class::SignIn => "sign-in",
            Class::Callback => "callback",
        }
    }

    /// What R-1 promises unless the operator says otherwise.
    pub fn usual(self) -> Rate {
        let (requests, seconds) = match self {
            Class::Generation | Class::Upload => (10, 60),
            Class::Transcription => (20, 60),
            Class::Analysis => (30, 60),
            Class::Chat
            | Class::Titles
            | Class::Analytics
            | Class::Shares
            | Class::Publishing
            | Class::Administration => (60, 60),
            Class::Status => (120, 60),
            Class::SignIn => (5, 600),
            Class::Callback => (600, 60),
        };
        Rate { requests, window: Duration::from_secs(seconds) }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// So many requests in any span of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub requests: u64,
    pub window: Duration,
}

/// Whom a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    User(UserId),
    Address(IpAddr),
    /// The address that a job's provider calls.
    Job(JobId),
    /// A link to an artifact.
    Link(LinkId),
    /// The address that an instance's provider calls, by a hash of the instance's name.
    Instance([u8; 16]),
    /// A mailbox and why it is written to, by a hash of both.
    Mailbox([u8; 16]),
}

impl Subject {
    /// The address that an instance's provider calls.
    pub fn of_instance(name: &InstanceName) -> Self {
        Self::Instance(short(name.as_str()))
    }

    /// A mailbox, for mails of one kind: those of another take nothing from them.
    pub fn of_mailbox(kind: MailKind, address: &EmailAddress) -> Self {
        Self::Mailbox(short(&format!("{kind:?} {address}")))
    }
}

fn short(text: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
    short
}

/// Whoever has one address of a network of IPv6 has all 2^64 of them (RFC 4291 §2.5.4): they count as one.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

/// What the limiter says, for the answer's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub class: Class,
    pub limit: u64,
    pub window: Duration,
    /// Requests left now.
    pub remaining: u64,
    /// Until all are available again if nothing more is asked.
    pub reset: Duration,
    /// Set when refused: how long until one is available.
    pub retry_after: Option<Duration>,
}

/// The sliding windows of all callers of this host.
pub struct Limiter {
    rates: [Rate; Class::ALL.len()],
    shards: Vec<Mutex<HashMap<(Subject, Class), Window>>>,
    hasher: RandomState,
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("rates", &self.rates).finish_non_exhaustive()
    }
}

impl Limiter {
    /// A limiter with a rate for each class.
    pub fn new(rate: impl Fn(Class) -> Rate) -> Self {
        Self {
            rates: Class::ALL.map(rate),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Counts a request if it may go on; `now_ms` never goes backwards. Never lets more than the limit through in any span of the window's length.
    pub fn take(&self, subject: Subject, class: Class, now_ms: u64) -> Decision {
        let rate = self.rates[class as usize];
        let key = (subject, class);
        let shard = &self.shards[self.hasher.hash_one(key) as usize % SHARDS];
        // A window stays consistent whatever panics beside it, so that a poisoned lock is still good.
        let mut windows = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if !windows.contains_key(&key) && windows.len() >= CALLERS_PER_SHARD_MAX {
            windows.retain(|(_, class), window| !window.is_idle(self.rates[*class as usize], now_ms));
            if windows.len() >= CALLERS_PER_SHARD_MAX {
                let retry_after = Some(Duration::from_secs(1));
                let (limit, window) = (rate.requests, rate.window);
                return Decision { class, limit, window, remaining: 0, reset: window, retry_after };
            }
        }
        windows.entry(key).or_default().take(class, rate, now_ms)
    }
}

#[cfg(test)]
mod tests;
