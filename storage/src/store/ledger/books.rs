//! Balances, entries and spending inside a transaction.

use atelier_domain::money::{Account, Entry, MicroCredits, Refusal, Spending, Subject, TooMuch};
use atelier_domain::store::StoreError;

use super::refused;
use crate::codec::{decode, encode};
use crate::engine::{Txn, TxnError};
use crate::keys;
use crate::schema::Table;

/// The balance of an account, in micro-credits.
pub(super) fn balance(txn: &Txn<'_>, account: Account) -> Result<i64, TxnError> {
    let key = keys::account(account);
    match txn.get(Table::Balances, &key)? {
        Some(row) => Ok(decode(Table::Balances, &key, &row)?),
        None => Ok(0),
    }
}

/// Writes an entry and the balances that it changes. No account goes below zero, but that where credits come from; all that was
/// issued is bounded, and so is each balance.
pub(super) fn post(txn: &Txn<'_>, entry: &Entry) -> Result<(), TxnError> {
    if entry.postings.sum() != 0 {
        return Err(StoreError::Damaged(format!("entry {} is not balanced", entry.id)).into());
    }
    for posting in entry.postings.as_slice() {
        let before = balance(txn, posting.account)?;
        let after = before.checked_add(posting.change).ok_or_else(|| refused(TooMuch))?;
        if after < 0 && !posting.account.may_be_negative() {
            let amount = |of: i64| MicroCredits::new(of.unsigned_abs()).unwrap_or(MicroCredits::MAX);
            return Err(refused(Refusal::InsufficientCredits {
                needed: amount(posting.change),
                available: amount(before.max(0)),
            }));
        }
        MicroCredits::new(after.unsigned_abs()).map_err(refused)?;
        txn.put(Table::Balances, &keys::account(posting.account), &encode(Table::Balances, &after)?)?;
    }
    txn.put(Table::Entries, &key_of(entry), &encode(Table::Entries, entry)?)
}

/// Writes an entry that was not written before.
pub(super) fn post_once(txn: &Txn<'_>, entry: &Entry) -> Result<(), TxnError> {
    check_new(txn, entry)?;
    post(txn, entry)
}

/// Refuses an entry that was written before.
pub(super) fn check_new(txn: &Txn<'_>, entry: &Entry) -> Result<(), TxnError> {
    if txn.contains(Table::Entries, &key_of(entry))? {
        return Err(StoreError::Exists { what: format!("ledger entry {}", entry.id) }.into());
    }
    Ok(())
}

fn key_of(entry: &Entry) -> [u8; 32] {
    keys::newest_first(entry.user, entry.id.as_bytes())
}

/// Budget and spending, as stored.
pub(super) fn spending(txn: &Txn<'_>, subject: Subject) -> Result<Spending, TxnError> {
    let key = keys::subject(subject);
    match txn.get(Table::Spending, &key)? {
        Some(row) => Ok(decode(Table::Spending, &key, &row)?),
        None => Ok(Spending::default()),
    }
}

pub(super) fn put_spending(txn: &Txn<'_>, subject: Subject, spending: &Spending) -> Result<(), TxnError> {
    txn.put(Table::Spending, &keys::subject(subject), &encode(Table::Spending, spending)?)
}
