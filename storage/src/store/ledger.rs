//! The ledger: every movement of money is one entry, written with the balances that it changes in one transaction.

mod audit;
mod books;
mod closure;
mod jobs;
mod live;
mod refunds;
mod retention;
mod sums;

use std::ops::Bound;
use std::time::{Duration, Instant};

use atelier_domain::id::{EntryId, JobId, UsageId, UserId};
use atelier_domain::job::Job;
use atelier_domain::money::{
    Account, AllowanceWanted, Balance, BudgetLimits, CallRefund, Entry, EntryKind, Folded, Grant, Hold,
    LiveUse, MicroCredits, Periods, Postings, Refund, Refusal, Spending, Subject, Totals, TotalsKey,
    TotalsQuery, UsageRecord,
};
use atelier_domain::store::{Audit, LedgerStore, StoreError};
use atelier_domain::time::Timestamp;
use serde::de::DeserializeOwned;

use super::Store;
use super::deletions::refuse_deleted;
use super::jobs::open;
use crate::codec::{damaged, decode};
use crate::engine::TxnError;
use crate::keys;
use crate::schema::Table;

pub(super) use closure::close_account;
pub(super) use jobs::{Closing, close, place_hold};
pub(super) use live::journal_place;

/// How long entering calls into the books gives way to other threads. Half of how often it is done: what comes faster than that is entered
/// without pause.
const GIVING_WAY: Duration = Duration::from_millis(100);

impl LedgerStore for Store {
    fn grant(&self, grant: &Grant) -> Result<Balance, StoreError> {
        let entry = Entry {
            id: grant.id,
            at: grant.at,
            user: grant.user,
            kind: EntryKind::Grant,
            job: None,
            call: None,
            by: grant.by,
            reason: Some(grant.reason.clone()),
            postings: Postings::transfer(Account::Issued, Account::Available(grant.user), grant.amount),
        };
        self.engine().write(|txn| {
            if !txn.contains(Table::Users, grant.user.as_bytes())? {
                let what = format!("user {}, who does not exist,", grant.user);
                return Err(StoreError::Conflict { what }.into());
            }
            refuse_deleted(txn, grant.user)?;
            books::post_once(txn, &entry)
        })?;
        self.balance(grant.user)
    }

    fn refund(&self, refund: &Refund) -> Result<Job, StoreError> {
        self.engine().write(|txn| refunds::of_job(txn, refund))
    }

    fn refund_call(&self, refund: &CallRefund) -> Result<UsageRecord, StoreError> {
        self.engine().write(|txn| refunds::of_call(txn, refund))
    }

    fn balance(&self, user: UserId) -> Result<Balance, StoreError> {
        // The three balances of one moment.
        self.engine().write_soon(|txn| {
            let of = |account: Account| {
                let amount = u64::try_from(books::balance(txn, account)?).ok();
                let amount = amount.and_then(|amount| MicroCredits::new(amount).ok());
                amount.ok_or_else(|| {
                    TxnError::from(damaged(
                        Table::Balances,
                        &keys::account(account),
                        "no such balance can be",
                    ))
                })
            };
            Ok(Balance {
                available: of(Account::Available(user))?,
                held: of(Account::Held(user))?,
                allowance: of(Account::Allowance(user))?,
            })
        })
    }

    fn entries(&self, user: UserId, before: Option<EntryId>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.newest(Table::Entries, user, before.as_ref().map(EntryId::as_bytes), limit)
    }

    fn holds(&self, limit: usize) -> Result<Vec<(JobId, Hold)>, StoreError> {
        let open = open::all(self.engine())?.into_iter();
        Ok(open.filter_map(|(id, open)| Some((id, open.hold?))).take(limit).collect())
    }

    fn set_budget(&self, subject: Subject, limits: BudgetLimits) -> Result<(), StoreError> {
        self.engine().write(|txn| {
            let spending = Spending { limits, ..books::spending(txn, subject)? };
            books::put_spending(txn, subject, &spending)
        })
    }

    fn spending(&self, subject: Subject, now: Periods) -> Result<Spending, StoreError> {
        let key = keys::subject(subject);
        let row = self.engine().get(Table::Spending, &key)?;
        let spending: Option<Spending> = row.map(|row| decode(Table::Spending, &key, &row)).transpose()?;
        Ok(spending.unwrap_or_default().at(now))
    }

    fn usage(
        &self,
        user: UserId,
        before: Option<UsageId>,
        limit: usize,
    ) -> Result<Vec<UsageRecord>, StoreError> {
        self.newest(Table::Usage, user, before.as_ref().map(UsageId::as_bytes), limit)
    }

    fn totals(&self, query: &TotalsQuery, limit: usize) -> Result<Vec<(TotalsKey, Totals)>, StoreError> {
        sums::read(self.engine(), query, limit)
    }

    fn take_allowance(&self, wanted: &AllowanceWanted) -> Result<MicroCredits, StoreError> {
        self.engine().write(|txn| live::take(txn, wanted))
    }

    fn record(&self, used: &LiveUse) -> Result<(), StoreError> {
        live::record(&self.journal, used)
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.journal.probe()
    }

    fn fold(&self) -> Result<Folded, StoreError> {
        live::fold(self.engine(), &self.journal, Some(Instant::now() + GIVING_WAY))
    }

    fn return_allowance(&self, id: EntryId) -> Result<MicroCredits, StoreError> {
        live::fold(self.engine(), &self.journal, None)?;
        let back = live::give_back(self.engine(), id)?;
        self.engine().make_durable()?;
        Ok(back)
    }

    fn sweep_usage(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        retention::sweep(self.engine(), before, limit)
    }

    fn audit(&self) -> Result<Audit, StoreError> {
        audit::all(self.engine())
    }
}

impl Store {
    /// Enters what the last process recorded into the books and gives all allowances back: no call of this process uses one yet.
    pub(super) fn settle_live_calls(&self) -> Result<(), StoreError> {
        live::fold(self.engine(), &self.journal, None)?;
        let all = (Bound::Unbounded, Bound::Unbounded);
        for key in self.engine().keys(Table::Allowances, all, usize::MAX)? {
            let id = key.as_array().ok_or_else(|| damaged(Table::Allowances, &key, "its key is no id"))?;
            live::give_back(self.engine(), EntryId::from_bytes(*id))?;
        }
        self.engine().make_durable()
    }

    /// Rows of a table whose keys are made by [`keys::newest_first`].
    fn newest<T: DeserializeOwned>(
        &self,
        table: Table,
        user: UserId,
        before: Option<&[u8; 16]>,
        limit: usize,
    ) -> Result<Vec<T>, StoreError> {
        let first = match before {
            Some(id) => Bound::Excluded(keys::newest_first(user, id).to_vec()),
            None => Bound::Included(user.as_bytes().to_vec()),
        };
        let last = Bound::Included([*user.as_bytes(), [0xff; 16]].concat());
        let mut found = Vec::new();
        for key in self.engine().keys(table, (first, last), limit)? {
            let row = self.engine().get(table, &key)?;
            let row =
                row.ok_or_else(|| damaged(table, &key, "it is gone, though such rows are never removed"))?;
            found.push(decode(table, &key, &row)?);
        }
        Ok(found)
    }
}

fn refused(why: impl Into<Refusal>) -> TxnError {
    StoreError::Refused(why.into()).into()
}
