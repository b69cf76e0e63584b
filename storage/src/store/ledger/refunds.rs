//! Charges that are given back, each in the transaction of the row that says how much of it was.

use atelier_domain::job::Job;
use atelier_domain::money::{
    Account, CallRefund, Cost, Entry, EntryKind, MicroCredits, Postings, Refund, Refusal, UsageRecord,
};
use atelier_domain::store::StoreError;

use super::{books, refused};
use crate::codec::{decode, encode};
use crate::engine::{Txn, TxnError};
use crate::keys;
use crate::schema::Table;
use crate::store::jobs::JobRow;

/// A job's.
pub(super) fn of_job(txn: &Txn<'_>, refund: &Refund) -> Result<Job, TxnError> {
    let no_job = || StoreError::Conflict { what: format!("job {}, which does not exist,", refund.job) };
    let mut row = JobRow::read(txn, refund.job)?.ok_or_else(no_job)?;
    let job = &mut row.job;
    let entry = Entry {
        id: refund.id,
        at: refund.at,
        user: job.owner,
        kind: EntryKind::Refund,
        job: Some(job.id),
        call: None,
        by: refund.by,
        reason: Some(refund.reason.clone()),
        postings: Postings::transfer(Account::Revenue, Account::Available(job.owner), refund.amount),
    };
    let is_debited = job.bill.is_debited;
    let mut nothing = Cost::default();
    let cost = job.bill.cost.as_mut().filter(|_| is_debited).unwrap_or(&mut nothing);
    give_back(txn, &entry, refund.amount, cost.charged, &mut cost.refunded)?;
    row.write(txn)?;
    Ok(row.job)
}

/// A live call's.
pub(super) fn of_call(txn: &Txn<'_>, refund: &CallRefund) -> Result<UsageRecord, TxnError> {
    let key = keys::newest_first(refund.user, refund.call.as_bytes());
    let no_call = || StoreError::Conflict { what: format!("call {}, which does not exist,", refund.call) };
    let row = txn.get(Table::Usage, &key)?.ok_or_else(no_call)?;
    let mut record: UsageRecord = decode(Table::Usage, &key, &row)?;
    if record.job.is_some() {
        return Err(no_call().into());
    }
    let entry = Entry {
        id: refund.id,
        at: refund.at,
        user: record.user,
        kind: EntryKind::Refund,
        job: None,
        call: Some(record.id),
        by: refund.by,
        reason: Some(refund.reason.clone()),
        postings: Postings::transfer(Account::Revenue, Account::Available(record.user), refund.amount),
    };
    let charged = record.cost.filter(|_| record.is_debited).unwrap_or_default();
    give_back(txn, &entry, refund.amount, charged, &mut record.refunded)?;
    txn.put(Table::Usage, &key, &encode(Table::Usage, &record)?)?;
    Ok(record)
}

fn give_back(
    txn: &Txn<'_>,
    entry: &Entry,
    amount: MicroCredits,
    charged: MicroCredits,
    refunded: &mut MicroCredits,
) -> Result<(), TxnError> {
    // Told before the bound: the same refund again is known, not too large.
    books::check_new(txn, entry)?;
    let most = charged.beyond(*refunded);
    if amount > most {
        return Err(refused(Refusal::RefundTooLarge { most }));
    }
    *refunded = refunded.plus(amount).map_err(refused)?;
    books::post(txn, entry)
}
