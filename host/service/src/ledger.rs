//! Money: what things cost, who may spend, and what was spent. The books are the store's; here is who asks for what.

mod charge;
mod jobs;
mod live;
mod purse;
mod retention;
mod sent;
mod unrecorded;

pub use charge::Expected;
pub(crate) use charge::{ABANDONED, Charge};
pub(crate) use live::Admission;
pub(crate) use sent::Sent;

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::account::{Principal, Role, Scope};
use atelier_domain::id::{EntryId, JobId, KeyId, UsageId, UserId};
use atelier_domain::job::Job;
use atelier_domain::money::{
    Balance, BudgetLimits, CallRefund, Entry, Grant, MicroCredits, ModelPrice, Periods, PriceBook, Refund,
    Spending, Subject, Totals, TotalsKey, TotalsQuery, UsageRecord,
};
use atelier_domain::store::{AccountStore, Audit, LedgerStore, StoreError};
use atelier_domain::time::Clock;

use crate::caller::Caller;
use crate::registry::ModelEntry;
use crate::{ServiceError, StoragePool};

/// Characters of a reason.
const REASON_CHARACTERS_MAX: usize = 200;

/// Whether credits are needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accounting {
    /// Usage and cost are recorded and budgets bind; nobody needs credits, and a model without a price can be called.
    #[default]
    Record,
    /// Nothing is done that the caller has no credits for, and a model without a price is refused.
    Enforce,
}

/// What the operator decides about money.
#[derive(Clone, Debug)]
pub struct LedgerSettings {
    pub accounting: Accounting,
    pub prices: PriceBook,
    /// Set aside for a job of which nobody knows what it may use, where its price does not say.
    pub job_hold: MicroCredits,
    /// The same for a live call.
    pub call_hold: MicroCredits,
    /// Set aside at once for a key's live calls, if there is as much.
    pub allowance: MicroCredits,
    /// How long single usage records are kept. Sums are kept for good.
    pub usage_kept_for: Duration,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        let amount = |of| MicroCredits::new(of).expect("within the bound");
        Self {
            accounting: Accounting::default(),
            prices: PriceBook::default(),
            job_hold: amount(1_000_000),
            call_hold: amount(100_000),
            allowance: amount(100_000),
            usage_kept_for: Duration::from_secs(90 * 24 * 60 * 60),
        }
    }
}

/// Who decides about others' money.
#[derive(Clone, Copy, Debug)]
pub enum Authority<'a> {
    /// Whoever has the machine and its store in their hands.
    Operator,
    /// A caller, who must be an administrator.
    Caller(&'a Principal),
}

impl Authority<'_> {
    /// Their id, if they have one.
    ///
    /// # Errors
    /// They may not.
    fn checked(self) -> Result<Option<UserId>, ServiceError> {
        match self {
            Self::Operator => Ok(None),
            Self::Caller(principal) if principal.role == Role::Administrator => Ok(Some(principal.user)),
            Self::Caller(_) => Err(ServiceError::ScopeMissing(Scope::Admin)),
        }
    }
}

impl<'a> From<&'a Principal> for Authority<'a> {
    fn from(principal: &'a Principal) -> Self {
        Self::Caller(principal)
    }
}

/// Money of all users.
#[derive(Debug)]
pub struct Ledger {
    purses: live::Purses,
    store: Arc<dyn LedgerStore>,
    accounts: Arc<dyn AccountStore>,
    pool: StoragePool,
    clock: Arc<dyn Clock>,
    settings: LedgerSettings,
    /// What costs nothing.
    nothing: Arc<ModelPrice>,
}

impl Ledger {
    /// A ledger over a store.
    pub fn new<S: LedgerStore + AccountStore + 'static>(
        store: Arc<S>,
        pool: StoragePool,
        clock: Arc<dyn Clock>,
        settings: LedgerSettings,
    ) -> Self {
        let purses = live::Purses::default();
        let nothing = Arc::new(ModelPrice { snapshot: Arc::default(), hold: None });
        Self { purses, store: store.clone(), accounts: store, pool, clock, settings, nothing }
    }

    /// Whether credits are needed.
    pub fn accounting(&self) -> Accounting {
        self.settings.accounting
    }

    /// The price of a model (`instance/model`) now; `None` where it has none and needs none.
    ///
    /// # Errors
    /// It has none, and credits are needed.
    pub fn price(&self, model: &str) -> Result<Option<Arc<ModelPrice>>, ServiceError> {
        match (self.settings.prices.of(model), self.settings.accounting) {
            (Some(price), _) => Ok(Some(price.clone())),
            (None, Accounting::Record) => Ok(None),
            (None, Accounting::Enforce) => Err(ServiceError::NotPriced { model: model.to_owned() }),
        }
    }

    /// The price of a model for whoever calls it: a key of their own is paid elsewhere.
    ///
    /// # Errors
    /// As [`Ledger::price`].
    pub(crate) fn price_of(&self, model: &ModelEntry) -> Result<Option<Arc<ModelPrice>>, ServiceError> {
        if model.is_own { Ok(Some(self.nothing.clone())) } else { self.price(model.id.as_str()) }
    }

    /// Makes credits for a user: for administrators alone, whatever the caller's route let through.
    ///
    /// # Errors
    /// The caller is no administrator, there is no such user, or the amount or reason is refused.
    pub async fn grant(
        &self,
        by: Authority<'_>,
        user: UserId,
        amount: MicroCredits,
        reason: &str,
    ) -> Result<Balance, ServiceError> {
        let by = by.checked()?;
        let (amount, reason) = (some(amount)?, checked_reason(reason)?);
        let grant = Grant { id: EntryId::new(), at: self.clock.now(), user, amount, by, reason };
        let (store, accounts) = (self.store.clone(), self.accounts.clone());
        self.pool
            .run(move || match accounts.user(user)? {
                Some(_) => Ok(store.grant(&grant)?),
                None => Err(ServiceError::NotFound { what: "such user" }),
            })
            .await
    }

    /// Gives a job's charge back to its owner, or a part of it: for administrators alone.
    ///
    /// # Errors
    /// The caller is no administrator, there is no such job, or it is more than was charged.
    pub async fn refund(
        &self,
        by: Authority<'_>,
        job: JobId,
        amount: MicroCredits,
        reason: &str,
    ) -> Result<Job, ServiceError> {
        let by = by.checked()?;
        let (amount, reason) = (some(amount)?, checked_reason(reason)?);
        let refund = Refund { id: EntryId::new(), at: self.clock.now(), job, amount, by, reason };
        let store = self.store.clone();
        let made = self.pool.run(move || store.refund(&refund)).await;
        made.map_err(|error| match error {
            ServiceError::Store(StoreError::Conflict { .. }) => {
                ServiceError::NotFound { what: "such generation" }
            }
            other => other,
        })
    }

    /// Gives a live call's charge back to its user, or a part of it: for administrators alone. A call is in the books shortly after it has ended.
    ///
    /// # Errors
    /// The caller is no administrator, the user has no such live call in the books, or it is more than was charged.
    pub async fn refund_call(
        &self,
        by: Authority<'_>,
        user: UserId,
        call: UsageId,
        amount: MicroCredits,
        reason: &str,
    ) -> Result<UsageRecord, ServiceError> {
        let by = by.checked()?;
        let (amount, reason) = (some(amount)?, checked_reason(reason)?);
        let refund = CallRefund { id: EntryId::new(), at: self.clock.now(), user, call, amount, by, reason };
        let store = self.store.clone();
        let made = self.pool.run(move || store.refund_call(&refund)).await;
        made.map_err(|error| match error {
            ServiceError::Store(StoreError::Conflict { .. }) => ServiceError::NotFound { what: "such call" },
            other => other,
        })
    }

    /// Adds all books up. Reads all of them.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn audit(&self) -> Result<Audit, ServiceError> {
        let store = self.store.clone();
        self.pool.run(move || store.audit()).await
    }

    /// What a user has.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn balance(&self, user: UserId) -> Result<Balance, ServiceError> {
        let store = self.store.clone();
        self.pool.run(move || store.balance(user)).await
    }

    /// Movements of a user's money, newest first.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn entries(
        &self,
        user: UserId,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>, ServiceError> {
        let store = self.store.clone();
        self.pool.run(move || store.entries(user, before, limit)).await
    }

    /// What a user used, newest first.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn usage(
        &self,
        user: UserId,
        before: Option<UsageId>,
        limit: usize,
    ) -> Result<Vec<UsageRecord>, ServiceError> {
        let store = self.store.clone();
        self.pool.run(move || store.usage(user, before, limit)).await
    }

    /// Sums by day.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn totals(
        &self,
        query: TotalsQuery,
        limit: usize,
    ) -> Result<Vec<(TotalsKey, Totals)>, ServiceError> {
        let store = self.store.clone();
        self.pool.run(move || store.totals(&query, limit)).await
    }

    /// The budget of a user or of one of their keys, and what was spent of it.
    ///
    /// # Errors
    /// There is no such user, or they have no such key.
    pub async fn budget(&self, user: UserId, key: Option<KeyId>) -> Result<Spending, ServiceError> {
        let (store, accounts, now) =
            (self.store.clone(), self.accounts.clone(), Periods::at(self.clock.now()));
        self.pool
            .run(move || {
                let subject = subject(&*accounts, user, key)?;
                Ok::<_, ServiceError>(store.spending(subject, now)?)
            })
            .await
    }

    /// Sets such a budget: for administrators alone.
    ///
    /// # Errors
    /// The caller is no administrator, there is no such user, or they have no such key.
    pub async fn set_budget(
        &self,
        by: Authority<'_>,
        user: UserId,
        key: Option<KeyId>,
        limits: BudgetLimits,
    ) -> Result<Spending, ServiceError> {
        by.checked()?;
        let (store, accounts, now) =
            (self.store.clone(), self.accounts.clone(), Periods::at(self.clock.now()));
        self.pool
            .run(move || {
                let subject = subject(&*accounts, user, key)?;
                store.set_budget(subject, limits)?;
                Ok::<_, ServiceError>(store.spending(subject, now)?)
            })
            .await
    }
}

fn subject(accounts: &dyn AccountStore, user: UserId, key: Option<KeyId>) -> Result<Subject, ServiceError> {
    match key {
        Some(key) if accounts.key(user, key)?.is_some() => Ok(Subject::Key(key)),
        Some(_) => Err(ServiceError::NotFound { what: "such key" }),
        None if accounts.user(user)?.is_some() => Ok(Subject::User(user)),
        None => Err(ServiceError::NotFound { what: "such user" }),
    }
}

fn some(amount: MicroCredits) -> Result<MicroCredits, ServiceError> {
    if amount.is_zero() {
        let message = "must be at least one micro-credit".to_owned();
        return Err(ServiceError::Invalid { param: "amount".to_owned(), message });
    }
    Ok(amount)
}

fn checked_reason(reason: &str) -> Result<String, ServiceError> {
    let reason = reason.trim();
    let length = reason.chars().count();
    if length == 0 || length > REASON_CHARACTERS_MAX || reason.chars().any(char::is_control) {
        let message =
            format!("a reason has 1 to {REASON_CHARACTERS_MAX} characters and no control characters");
        return Err(ServiceError::Invalid { param: "reason".to_owned(), message });
    }
    Ok(reason.to_owned())
}

/// Whose credits a caller spends.
fn payer(caller: &Caller) -> (UserId, KeyId) {
    (caller.principal.user, caller.principal.key)
}
