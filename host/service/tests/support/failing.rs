//! A ledger that records no live calls while a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use atelier_domain::account::{ApiKey, KeyDigest, User};
use atelier_domain::id::{EntryId, JobId, KeyId, UsageId, UserId};
use atelier_domain::job::Job;
use atelier_domain::money::{
    AllowanceWanted, Balance, BudgetLimits, CallRefund, Entry, Folded, Grant, Hold, LiveUse, MicroCredits,
    Periods, Refund, Spending, Subject, Totals, TotalsKey, TotalsQuery, UsageRecord,
};
use atelier_domain::store::{AccountStore, Audit, LedgerStore, StoreError};
use atelier_domain::time::Timestamp;
use atelier_storage::Store;

type Stored<T> = Result<T, StoreError>;

#[derive(Debug)]
pub struct Failing {
    store: Arc<Store>,
    pub is_failing: AtomicBool,
    /// How often it was asked whether it works.
    pub probes: AtomicUsize,
}

impl Failing {
    pub fn over(store: &Arc<Store>) -> Self {
        Self { store: store.clone(), is_failing: AtomicBool::new(false), probes: AtomicUsize::new(0) }
    }

    fn works(&self) -> Stored<()> {
        match self.is_failing.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("as the test says".to_owned())),
            false => Ok(()),
        }
    }
}

impl LedgerStore for Failing {
    fn record(&self, used: &LiveUse) -> Stored<()> {
        self.works().and_then(|()| self.store.record(used))
    }
    fn probe(&self) -> Stored<()> {
        self.probes.fetch_add(1, Ordering::SeqCst);
        self.works().and_then(|()| self.store.probe())
    }
    fn grant(&self, grant: &Grant) -> Stored<Balance> {
        self.store.grant(grant)
    }
    fn refund(&self, refund: &Refund) -> Stored<Job> {
        self.store.refund(refund)
    }
    fn refund_call(&self, refund: &CallRefund) -> Stored<UsageRecord> {
        self.store.refund_call(refund)
    }
    fn balance(&self, user: UserId) -> Stored<Balance> {
        self.store.balance(user)
    }
    fn entries(&self, user: UserId, before: Option<EntryId>, limit: usize) -> Stored<Vec<Entry>> {
        self.store.entries(user, before, limit)
    }
    fn holds(&self, limit: usize) -> Stored<Vec<(JobId, Hold)>> {
        self.store.holds(limit)
    }
    fn set_budget(&self, subject: Subject, limits: BudgetLimits) -> Stored<()> {
        self.store.set_budget(subject, limits)
    }
    fn spending(&self, subject: Subject, now: Periods) -> Stored<Spending> {
        self.store.spending(subject, now)
    }
    fn usage(&self, user: UserId, before: Option<UsageId>, limit: usize) -> Stored<Vec<UsageRecord>> {
        self.store.usage(user, before, limit)
    }
    fn totals(&self, query: &TotalsQuery, limit: usize) -> Stored<Vec<(TotalsKey, Totals)>> {
        self.store.totals(query, limit)
    }
    fn take_allowance(&self, wanted: &AllowanceWanted) -> Stored<MicroCredits> {
        self.store.take_allowance(wanted)
    }
    fn fold(&self) -> Stored<Folded> {
        self.store.fold()
    }
    fn return_allowance(&self, id: EntryId) -> Stored<MicroCredits> {
        self.store.return_allowance(id)
    }
    fn sweep_usage(&self, before: Timestamp, limit: usize) -> Stored<usize> {
        self.store.sweep_usage(before, limit)
    }
    fn audit(&self) -> Stored<Audit> {
        self.store.audit()
    }
}

impl AccountStore for Failing {
    fn create_user(&self, user: &User) -> Stored<()> {
        self.store.create_user(user)
    }
    fn user(&self, id: UserId) -> Stored<Option<User>> {
        self.store.user(id)
    }
    fn user_by_name(&self, name: &str) -> Stored<Option<User>> {
        self.store.user_by_name(name)
    }
    fn update_user(&self, user: &User) -> Stored<bool> {
        self.store.update_user(user)
    }
    fn users(&self, after: Option<UserId>, limit: usize) -> Stored<Vec<User>> {
        self.store.users(after, limit)
    }
    fn create_key(&self, key: &ApiKey) -> Stored<()> {
        self.store.create_key(key)
    }
    fn key_by_digest(&self, digest: &KeyDigest) -> Stored<Option<(ApiKey, User)>> {
        self.store.key_by_digest(digest)
    }
    fn key(&self, owner: UserId, id: KeyId) -> Stored<Option<ApiKey>> {
        self.store.key(owner, id)
    }
    fn keys(&self, owner: UserId, after: Option<KeyId>, limit: usize) -> Stored<Vec<ApiKey>> {
        self.store.keys(owner, after, limit)
    }
    fn revoke_key(&self, owner: UserId, id: KeyId, when: Timestamp) -> Stored<bool> {
        self.store.revoke_key(owner, id, when)
    }
    fn touch_key(&self, owner: UserId, id: KeyId, when: Timestamp) -> Stored<()> {
        self.store.touch_key(owner, id, when)
    }
}
