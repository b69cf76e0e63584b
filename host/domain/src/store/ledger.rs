//! The port of the ledger.

use std::fmt;

use super::StoreError;
use crate::id::{EntryId, JobId, UsageId, UserId};
use crate::job::Job;
use crate::money::{
    AllowanceWanted, Balance, BudgetLimits, CallRefund, Entry, Folded, Grant, Hold, LiveUse, MicroCredits,
    Periods, Refund, Spending, Subject, Totals, TotalsKey, TotalsQuery, UsageRecord,
};
use crate::time::Timestamp;

/// What the books say as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Over all accounts; zero, or something is wrong.
    pub sum: i128,
    /// Over all postings of all entries; zero, or something is wrong.
    pub postings_sum: i128,
    /// Accounts whose balance is not the sum of their postings; zero, or something is wrong.
    pub differing: usize,
    /// Accounts below zero that must not be; zero, or something is wrong.
    pub negative: usize,
    pub accounts: usize,
    pub entries: usize,
    /// Holds of jobs.
    pub holds: usize,
    /// Holds of jobs that are final, and open jobs whose hold is gone; zero, or something is wrong.
    pub stray_holds: usize,
}

impl Audit {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.sum == 0
            && self.postings_sum == 0
            && self.differing == 0
            && self.negative == 0
            && self.stray_holds == 0
    }
}

/// Accounts, budgets, and what was used.
///
/// A job's hold is placed by [`create_job`](super::JobStore::create_job) and settled or released by the
/// [`change_job`](super::JobStore::change_job) that makes it final, each in the job's own transaction.
pub trait LedgerStore: Send + Sync + fmt::Debug {
    /// Makes credits, durably; gives the balance after.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if it was made before; [`StoreError::Refused`] if more would be issued than there can be;
    /// [`StoreError::Conflict`] if there is no such user.
    fn grant(&self, grant: &Grant) -> Result<Balance, StoreError>;
    /// Gives a job's charge back, or a part of it, durably; gives the job as it then is.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if it was made before; [`StoreError::Refused`] if it is more than was charged and not given back yet,
    /// which is nothing for a job that is not final; [`StoreError::Conflict`] if there is no such job.
    fn refund(&self, refund: &Refund) -> Result<Job, StoreError>;
    /// Gives a live call's charge back, or a part of it, durably; gives its record as it then is.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if it was made before; [`StoreError::Refused`] if it is more than was charged and not given back yet;
    /// [`StoreError::Conflict`] if the user has no record of such a live call in the books.
    fn refund_call(&self, refund: &CallRefund) -> Result<UsageRecord, StoreError>;
    fn balance(&self, user: UserId) -> Result<Balance, StoreError>;
    /// Movements of a user's money, newest first, before `before`, `limit` at most.
    fn entries(&self, user: UserId, before: Option<EntryId>, limit: usize) -> Result<Vec<Entry>, StoreError>;
    /// Holds of open jobs, `limit` at most.
    fn holds(&self, limit: usize) -> Result<Vec<(JobId, Hold)>, StoreError>;

    /// Sets a budget, durably; what was spent stays.
    fn set_budget(&self, subject: Subject, limits: BudgetLimits) -> Result<(), StoreError>;
    /// Limits and spending as they stand at `now`.
    fn spending(&self, subject: Subject, now: Periods) -> Result<Spending, StoreError>;

    /// What a user used, newest first, before `before`, `limit` at most.
    fn usage(
        &self,
        user: UserId,
        before: Option<UsageId>,
        limit: usize,
    ) -> Result<Vec<UsageRecord>, StoreError>;
    /// Sums in the order of their keys, `limit` at most. Takes time by the page, not by the table.
    fn totals(&self, query: &TotalsQuery, limit: usize) -> Result<Vec<(TotalsKey, Totals)>, StoreError>;

    /// Sets money aside for a key's live calls, durably; gives how much.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if credits or budgets do not allow the least.
    fn take_allowance(&self, wanted: &AllowanceWanted) -> Result<MicroCredits, StoreError>;
    /// Notes a live call that has ended. *Recorded*: it survives a killed process at once and is on disk within 50 ms, and it never
    /// waits for a disk. It enters the books with a [`LedgerStore::fold`].
    fn record(&self, used: &LiveUse) -> Result<(), StoreError>;
    /// Whether what is recorded now will be kept: writes something that is nobody's and waits until it is on disk.
    ///
    /// # Errors
    /// It could not be written.
    fn probe(&self) -> Result<(), StoreError>;
    /// Enters what was recorded into the books: each record once, however often and wherever this is interrupted.
    fn fold(&self) -> Result<Folded, StoreError>;
    /// Folds, then gives back what is left of an allowance, durably; nothing if it is not there. No call may use it any more. Opening the
    /// store does this with all of them.
    fn return_allowance(&self, id: EntryId) -> Result<MicroCredits, StoreError>;

    /// Forgets the records of calls and jobs that ended before a time, of all users, `limit` at most; gives how many. What was added up
    /// of them stays. Recorded, not durable.
    fn sweep_usage(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError>;

    /// Adds all books up. Reads all of them: for operators and tests.
    fn audit(&self) -> Result<Audit, StoreError>;
}
