//! The audit log (O-2): administration is written before it is done and when it has ended; refusals are gathered for some seconds and
//! written with their number, so that whoever knocks all day fills no disk.

mod egress;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atelier_domain::audit::{Actor, AuditKind, AuditPage, AuditRecord, AuditRecords, AuditStore};
use atelier_domain::egress::DeniedEgress;
use atelier_domain::id::AuditId;
use atelier_domain::store::SweepPage;
use atelier_domain::time::{Clock, Timestamp};
use tokio::sync::watch;

use crate::{ServiceError, StoragePool};

use egress::Denials;
pub use egress::EgressLimits;

/// What refusals count as once there are too many kinds of them.
const OTHERS: &str = "(others)";
/// Between two goes of a sweep.
const SWEEP_PAUSE: Duration = Duration::from_millis(20);

/// Bounds of the audit log.
#[derive(Clone, Copy, Debug)]
pub struct AuditLimits {
    pub kept_for: Duration,
    /// How long refusals are gathered before they are written.
    pub gathered_for: Duration,
    /// Different refusals that are gathered at once; what is beyond them counts together.
    pub gathered_max: usize,
    /// Of what plugins may not reach.
    pub egress: EgressLimits,
    /// Records that a page looks at.
    pub looked_at_max: usize,
    pub swept_at_once: usize,
    pub sweep_every: Duration,
}

impl Default for AuditLimits {
    fn default() -> Self {
        Self {
            kept_for: Duration::from_secs(365 * 86_400),
            gathered_for: Duration::from_secs(5),
            gathered_max: 1024,
            egress: EgressLimits::default(),
            looked_at_max: 10_000,
            swept_at_once: 256,
            sweep_every: Duration::from_secs(3600),
        }
    }
}

/// A request that is to be noted.
#[derive(Clone, Debug)]
pub struct Noted {
    pub actor: Option<Actor>,
    /// The route: method and path as the reference writes them.
    pub action: String,
    /// The path as it was asked for.
    pub target: Option<String>,
    pub request_id: String,
}

/// Refusals of one kind, by the same actor, of the same action.
type Same = (AuditKind, Option<Actor>, String);

/// The audit log over its store.
#[derive(Clone, Debug)]
pub struct Audit {
    store: Arc<dyn AuditStore>,
    pool: StoragePool,
    clock: Arc<dyn Clock>,
    limits: AuditLimits,
    gathered: Arc<Mutex<HashMap<Same, AuditRecord>>>,
    denials: Arc<Denials>,
}

/// An action that was begun: to be ended, or to stand as one whose end is not known.
#[must_use]
#[derive(Debug)]
pub struct Begun {
    audit: Audit,
    record: AuditRecord,
}

impl Audit {
    /// Over a store.
    pub fn new(
        store: Arc<dyn AuditStore>,
        pool: StoragePool,
        clock: Arc<dyn Clock>,
        limits: AuditLimits,
    ) -> Self {
        let denials = Arc::new(Denials::new(limits.egress));
        Self { store, pool, clock, limits, gathered: Arc::default(), denials }
    }

    /// Writes, durably, that somebody is about to administer something.
    ///
    /// # Errors
    /// It cannot be written: then it must not be done.
    pub async fn begin(&self, noted: Noted) -> Result<Begun, ServiceError> {
        let record = self.record(AuditKind::Administration, noted);
        self.write(vec![record.clone()]).await?;
        Ok(Begun { audit: self.clone(), record })
    }

    /// Notes a refusal. It is written some seconds later.
    pub fn refused(&self, kind: AuditKind, noted: Noted, status: u16, code: &str) {
        let same = (kind, noted.actor, noted.action.clone());
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !gathered.contains_key(&same);
        let (same, noted) = if is_new && gathered.len() >= self.limits.gathered_max {
            let noted = Noted { actor: None, action: OTHERS.to_owned(), target: None, ..noted };
            ((kind, None, OTHERS.to_owned()), noted)
        } else {
            (same, noted)
        };
        let entry = gathered.entry(same).or_insert_with(|| AuditRecord {
            status: Some(status),
            code: Some(code.to_owned()),
            count: 0,
            ..self.record(kind, noted)
        });
        entry.count += 1;
    }

    /// Notes what a plugin asked to reach and may not. It waits for nothing; it is written some seconds later, and what comes again
    /// within an hour when that is over.
    pub fn egress_denied(&self, denied: &DeniedEgress<'_>) {
        self.denials.note(denied, self.clock.now(), self.clock.monotonic_ms());
    }

    /// A page of records, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(&self, page: AuditPage) -> Result<AuditRecords, ServiceError> {
        self.write_gathered(true).await?;
        let (store, looked_at_max) = (self.store.clone(), self.limits.looked_at_max);
        self.pool.run(move || store.audited(&page, looked_at_max)).await
    }

    /// Writes what was gathered and forgets what is old, until told to stop.
    pub async fn run(&self, mut stopped: watch::Receiver<bool>) {
        let mut swept = None;
        loop {
            let now = self.clock.monotonic_ms();
            let is_due = |at: u64| now.saturating_sub(at) >= self.limits.sweep_every.as_millis() as u64;
            if swept.is_none_or(is_due) {
                swept = Some(now);
                tokio::select! {
                    done = self.sweep() => if let Err(error) = done {
                        tracing::error!(%error, "old records of the audit log could not be removed");
                    },
                    _ = stopped.wait_for(|stop| *stop) => {}
                }
            }
            let is_over = tokio::select! {
                () = tokio::time::sleep(self.limits.gathered_for) => false,
                _ = stopped.wait_for(|stop| *stop) => true,
            };
            if let Err(error) = self.write_gathered(is_over).await {
                tracing::error!(%error, "refusals could not be written to the audit log; they are kept for the next try");
            }
            if is_over {
                return;
            }
        }
    }

    /// Writes refusals, and what plugins may not reach as far as that is due, or all of it.
    async fn write_gathered(&self, all: bool) -> Result<(), ServiceError> {
        let denials = self.denials.take(self.clock.monotonic_ms(), all);
        let gathered = std::mem::take(&mut *self.gathered.lock().unwrap_or_else(PoisonError::into_inner));
        if gathered.is_empty() && denials.is_empty() {
            return Ok(());
        }
        let records = gathered.values().chain(denials.iter().map(|(_, record)| record));
        let written = self.write(records.cloned().collect()).await;
        if written.is_err() {
            self.denials.give_back(denials, self.clock.monotonic_ms());
            let mut newer = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
            for (same, record) in gathered {
                match newer.get_mut(&same) {
                    Some(entry) => entry.count += record.count,
                    None => drop(newer.insert(same, record)),
                }
            }
        }
        written
    }

    async fn write(&self, records: Vec<AuditRecord>) -> Result<(), ServiceError> {
        let store = self.store.clone();
        self.pool.run(move || store.audit(&records)).await
    }

    async fn sweep(&self) -> Result<(), ServiceError> {
        let age = u64::try_from(self.limits.kept_for.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp(self.clock.now().0.saturating_sub(age));
        let mut page = SweepPage::first(self.limits.swept_at_once);
        loop {
            let (store, wanted) = (self.store.clone(), page.clone());
            page.after = self.pool.run(move || store.sweep_audit(before, &wanted)).await?.next;
            if page.after.is_none() {
                return Ok(());
            }
            tokio::time::sleep(SWEEP_PAUSE).await;
        }
    }

    fn record(&self, kind: AuditKind, noted: Noted) -> AuditRecord {
        AuditRecord {
            id: AuditId::new(),
            kind,
            time: self.clock.now(),
            actor: noted.actor,
            instance: None,
            plugin: None,
            action: noted.action,
            target: noted.target,
            request_id: noted.request_id,
            status: None,
            code: None,
            count: 1,
        }
    }
}

impl Begun {
    /// Writes, durably, how it ended. Where that cannot be written, the record stands as one whose end is not known.
    pub async fn end(self, status: u16, code: Option<&str>) {
        let request_id = self.record.request_id.clone();
        let record = AuditRecord { status: Some(status), code: code.map(str::to_owned), ..self.record };
        if let Err(error) = self.audit.write(vec![record]).await {
            tracing::error!(request_id, %error, "how an administrator's action ended could not be written to the audit log");
        }
    }
}

#[cfg(test)]
mod tests;
