//! Egress that was denied to plugins: the first time is written soon, and what comes again within an hour is counted and written at its
//! end, so that a plugin in a loop fills neither memory nor disk.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_domain::audit::{AuditKind, AuditRecord};
use atelier_domain::egress::{DeniedEgress, EgressDenial};
use atelier_domain::id::AuditId;
use atelier_domain::time::Timestamp;

use super::OTHERS;

/// What such records call what was done.
const ACTION: &str = "egress";

/// Bounds of what is kept of denied egress.
#[derive(Clone, Copy, Debug)]
pub struct EgressLimits {
    /// How long more of the same is gathered once it was written.
    pub gathered_for: Duration,
    /// Different hosts of one instance at once; what is beyond them counts together.
    pub hosts_max: usize,
    /// Different records at once, of all instances; what is beyond them counts together.
    pub gathered_max: usize,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self { gathered_for: Duration::from_secs(3600), hosts_max: 8, gathered_max: 1024 }
    }
}

/// What is the same when it comes again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Same {
    instance: String,
    host: String,
    denial: EgressDenial,
}

#[derive(Debug)]
struct Entry {
    /// What is not written yet.
    waiting: Option<AuditRecord>,
    /// When it is to be written, or else the entry forgotten; of the clock's own milliseconds.
    due_ms: u64,
}

/// What was denied, as far as it is not written.
#[derive(Debug)]
pub(super) struct Denials {
    entries: Mutex<HashMap<Same, Entry>>,
    limits: EgressLimits,
}

impl Denials {
    pub(super) fn new(limits: EgressLimits) -> Self {
        Self { entries: Mutex::default(), limits }
    }

    /// The map stays consistent whatever panics beside it, so that a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, HashMap<Same, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes one, at `now`, which the clock calls `now_ms`.
    pub(super) fn note(&self, denied: &DeniedEgress<'_>, now: Timestamp, now_ms: u64) {
        let mut entries = self.lock();
        let same = self.same(denied, &entries);
        let record = record(&same, denied, now);
        let entry = entries.entry(same).or_insert(Entry { waiting: None, due_ms: now_ms });
        match &mut entry.waiting {
            Some(waiting) => waiting.count += 1,
            None => entry.waiting = Some(record),
        }
    }

    /// As what it counts.
    fn same(&self, denied: &DeniedEgress<'_>, entries: &HashMap<Same, Entry>) -> Same {
        let same = |instance: &str, host: &str| Same {
            instance: instance.to_owned(),
            host: host.to_owned(),
            denial: denied.denial,
        };
        let own = same(denied.instance, &denied.host);
        if entries.contains_key(&own) {
            return own;
        }
        if entries.len() >= self.limits.gathered_max {
            return same(OTHERS, OTHERS);
        }
        let hosts = entries.keys().filter(|entry| entry.instance == own.instance && entry.host != OTHERS);
        if hosts.count() >= self.limits.hosts_max { same(denied.instance, OTHERS) } else { own }
    }

    /// What is to be written now: all of it, or what is due. What has not come again for as long as is gathered is forgotten.
    pub(super) fn take(&self, now_ms: u64, all: bool) -> Vec<(Same, AuditRecord)> {
        let mut taken = Vec::new();
        let next_ms = now_ms.saturating_add(self.limits.gathered_for.as_millis() as u64);
        self.lock().retain(|same, entry| {
            let is_due = entry.due_ms <= now_ms;
            let Some(record) = entry.waiting.take_if(|_| is_due || all) else {
                return entry.waiting.is_some() || !is_due;
            };
            taken.push((same.clone(), record));
            entry.due_ms = next_ms;
            true
        });
        taken
    }

    /// Keeps what could not be written for the next try.
    pub(super) fn give_back(&self, taken: Vec<(Same, AuditRecord)>, now_ms: u64) {
        let mut entries = self.lock();
        for (same, record) in taken {
            let entry = entries.entry(same).or_insert(Entry { waiting: None, due_ms: now_ms });
            let newer = entry.waiting.take().map_or(0, |newer| newer.count);
            entry.waiting = Some(AuditRecord { count: record.count + newer, ..record });
            entry.due_ms = now_ms;
        }
    }
}

fn record(same: &Same, denied: &DeniedEgress<'_>, now: Timestamp) -> AuditRecord {
    let is_known = same.instance != OTHERS;
    AuditRecord {
        id: AuditId::new(),
        kind: AuditKind::EgressRefused,
        time: now,
        actor: None,
        instance: Some(same.instance.clone()),
        plugin: is_known.then(|| denied.plugin.to_owned()),
        action: ACTION.to_owned(),
        target: Some(same.host.clone()),
        request_id: denied.request_id.to_owned(),
        status: None,
        code: Some(denied.denial.as_str().to_owned()),
        count: 1,
    }
}
