//! The end of a user's account.

use atelier_domain::id::{EntryId, UserId};
use atelier_domain::money::{Account, Entry, EntryKind, MicroCredits, Postings};
use atelier_domain::time::Timestamp;

use super::books;
use crate::engine::{Txn, TxnError};

/// Returns what is left of a deleted user's credits to where credits come from; `false`, and nothing is done, as long as anything is
/// set aside. A refund that is made later stays in their account: it is an operator's word against the books.
pub(in crate::store) fn close_account(
    txn: &Txn<'_>,
    user: UserId,
    id: EntryId,
    at: Timestamp,
) -> Result<bool, TxnError> {
    for account in [Account::Held(user), Account::Allowance(user)] {
        if books::balance(txn, account)? != 0 {
            return Ok(false);
        }
    }
    let left = u64::try_from(books::balance(txn, Account::Available(user))?).unwrap_or(0);
    let left = MicroCredits::new(left).unwrap_or(MicroCredits::MAX);
    if !left.is_zero() {
        let entry = Entry {
            id,
            at,
            user,
            kind: EntryKind::Closure,
            job: None,
            call: None,
            by: None,
            reason: None,
            postings: Postings::transfer(Account::Available(user), Account::Issued, left),
        };
        books::post_once(txn, &entry)?;
    }
    Ok(true)
}
