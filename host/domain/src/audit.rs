//! The audit log: who administered what, and what was refused for safety's sake. It is written and read, never changed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{AuditId, KeyId, UserId};
use crate::store::{StoreError, SweepPage, Swept};
use crate::time::Timestamp;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    /// Somebody administered the server, or tried to: users, keys, plugins, money, templates, backups.
    Administration,
    /// Keys that open nothing were presented: unknown, revoked, or a disabled user's.
    KeyRefused,
    /// A key was used for what it may not do.
    ScopeRefused,
    /// Somebody could not sign in.
    SignInRefused,
    /// A request came with a session's cookie from another page than the server's own.
    CrossSiteRefused,
    /// Callbacks came that their provider has not signed, or not now.
    CallbackRefused,
    /// A plugin asked to reach what its instance may not, or the host did for it.
    EgressRefused,
    /// A prompt was not sent, since something was found in it.
    PromptRefused,
}

impl AuditKind {
    pub const ALL: [AuditKind; 8] = [
        AuditKind::Administration,
        AuditKind::KeyRefused,
        AuditKind::ScopeRefused,
        AuditKind::SignInRefused,
        AuditKind::CrossSiteRefused,
        AuditKind::CallbackRefused,
        AuditKind::EgressRefused,
        AuditKind::PromptRefused,
    ];

    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            AuditKind::Administration => "administration",
            AuditKind::KeyRefused => "key_refused",
            AuditKind::ScopeRefused => "scope_refused",
            AuditKind::SignInRefused => "sign_in_refused",
            AuditKind::CrossSiteRefused => "cross_site_refused",
            AuditKind::CallbackRefused => "callback_refused",
            AuditKind::EgressRefused => "egress_refused",
            AuditKind::PromptRefused => "prompt_refused",
        }
    }
}

/// Who it was, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    pub user: UserId,
    pub key: KeyId,
}

/// One thing that happened, or several of the same kind within a short time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Sorts by time.
    pub id: AuditId,
    pub kind: AuditKind,
    /// The first of them.
    pub time: Timestamp,
    pub actor: Option<Actor>,
    /// The instance, and the id of its plugin, where a plugin did it.
    #[serde(default)]
    pub instance: Option<String>,
    #[serde(default)]
    pub plugin: Option<String>,
    /// The route: its method and path, as the reference writes them. Of a plugin, `egress`.
    pub action: String,
    /// The path as it was asked for, where it names what was meant; the host that a plugin asked for.
    pub target: Option<String>,
    /// Of the first of them.
    pub request_id: String,
    /// The HTTP status of the answer. Absent of an action that was begun and whose end is not known: the process ended in its middle, or its
    /// caller left; and of what a plugin did, which is no request.
    pub status: Option<u16>,
    /// The code of the error that it was answered with, or of why a host may not be reached.
    pub code: Option<String>,
    /// How many of them: more than one only of refusals.
    pub count: u64,
}

/// Which records to give, newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    /// Begin behind this one.
    pub before: Option<AuditId>,
    pub kind: Option<AuditKind>,
    pub user: Option<UserId>,
    pub limit: usize,
}

/// What a page has, and where the next begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditRecords {
    pub records: Vec<AuditRecord>,
    /// The last record that was looked at, where there may be more behind it: a page may have fewer records than asked for.
    pub next: Option<AuditId>,
}

/// The audit log. Its methods block: call them off the async threads.
pub trait AuditStore: Send + Sync + fmt::Debug {
    /// Writes records, durably. One that is there already is given its end: the answer's status and code, and nothing else.
    fn audit(&self, records: &[AuditRecord]) -> Result<(), StoreError>;
    /// Records, newest first. Looks at `looked_at_max` at most.
    fn audited(&self, page: &AuditPage, looked_at_max: usize) -> Result<AuditRecords, StoreError>;
    /// Forgets records made before `before`, the oldest first. Recorded, not durable.
    fn sweep_audit(&self, before: Timestamp, page: &SweepPage) -> Result<Swept, StoreError>;
}
