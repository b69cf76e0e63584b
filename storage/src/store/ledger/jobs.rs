//! A job's money, inside the transactions of its row.

use atelier_domain::id::{EntryId, UsageId};
use atelier_domain::job::{Job, JobState};
use atelier_domain::money::{
    Account, Cost, Entry, EntryKind, Hold, MicroCredits, Postings, Subject, UsageRecord,
};
use atelier_domain::store::StoreError;

use super::{books, refused, sums};
use crate::engine::{Txn, TxnError};

/// Sets aside what a job may cost: all of it, or the job is refused. The hold is kept in its row of open jobs, which its caller writes.
pub(in crate::store) fn place_hold(txn: &Txn<'_>, job: &Job, hold: &Hold) -> Result<(), TxnError> {
    if hold.user != job.owner || hold.amount != job.bill.held || job.state.is_final() {
        let what = format!("the hold of job {}, which is another's or has ended,", job.id);
        return Err(StoreError::Conflict { what }.into());
    }
    for subject in [Subject::User(hold.user), Subject::Key(hold.key)] {
        let mut spending = books::spending(txn, subject)?;
        spending.reserve(subject, hold.periods(), hold.amount).map_err(refused)?;
        books::put_spending(txn, subject, &spending)?;
    }
    if hold.is_debited {
        let (from, to) = (Account::Available(hold.user), Account::Held(hold.user));
        let entry = Entry {
            id: hold.entry,
            at: hold.at,
            user: hold.user,
            kind: EntryKind::Hold,
            job: Some(job.id),
            call: None,
            by: None,
            reason: None,
            postings: Postings::transfer(from, to, hold.amount),
        };
        books::post(txn, &entry)?;
    }
    Ok(())
}

/// The ids that the end of a job needs.
#[derive(Default)]
pub(in crate::store) struct Closing {
    entry: EntryId,
    usage: UsageId,
}

/// Settles or releases what was set aside for a job that has just become final, sets its cost and records its usage. The hold was taken
/// from the job's row of open jobs, which is gone: nothing can do it twice.
pub(in crate::store) fn close(
    txn: &Txn<'_>,
    job: &mut Job,
    hold: Option<Hold>,
    closing: &Closing,
) -> Result<(), TxnError> {
    let held = hold.map(|hold| hold.amount).unwrap_or_default();
    job.bill.cost = match job.state {
        JobState::Succeeded => job.bill.cost_of(&job.usage, held),
        // What was not delivered costs nothing.
        JobState::Queued | JobState::Processing | JobState::Failed | JobState::Canceled => {
            job.bill.price.as_ref().map(|_| Cost::default())
        }
    };
    let at = job.finished.unwrap_or(job.created);
    if let Some(hold) = hold {
        let charged = job.bill.cost.unwrap_or_default().charged;
        for subject in [Subject::User(hold.user), Subject::Key(hold.key)] {
            let mut spending = books::spending(txn, subject)?;
            spending.settle(hold.periods(), hold.amount, charged);
            books::put_spending(txn, subject, &spending)?;
        }
        if hold.is_debited {
            let from = Account::Held(hold.user);
            let rest = hold.amount.beyond(charged);
            let entry = Entry {
                id: closing.entry,
                at,
                user: hold.user,
                kind: if charged.is_zero() { EntryKind::Release } else { EntryKind::Settle },
                job: Some(job.id),
                call: None,
                by: None,
                reason: None,
                postings: Postings::transfer(from, Account::Revenue, charged).and(
                    from,
                    Account::Available(hold.user),
                    rest,
                ),
            };
            books::post(txn, &entry)?;
        }
    }
    let outcome = match (job.state, &job.error) {
        (JobState::Succeeded, _) => "ok",
        (_, Some(error)) => &error.code,
        (state, None) => state.as_str(),
    };
    let record = UsageRecord {
        id: closing.usage,
        at,
        user: job.owner,
        key: job.bill.key,
        model: job.request.model.clone(),
        task: job.request.task.clone(),
        job: Some(job.id),
        request_id: None,
        outcome: outcome.to_owned(),
        usage: job.usage.clone(),
        is_estimated: job.bill.is_estimated,
        cost: job.bill.cost.map(|cost| cost.charged),
        uncollected: job.bill.cost.unwrap_or_default().uncollected,
        is_unpriced: job.bill.cost.is_some_and(|cost| cost.is_unpriced),
        is_debited: false,
        refunded: MicroCredits::ZERO,
    };
    sums::add(txn, std::slice::from_ref(&record))
}
