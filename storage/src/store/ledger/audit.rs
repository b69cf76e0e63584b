//! All books added up.

use std::collections::HashMap;
use std::ops::Bound;

use atelier_domain::id::JobId;
use atelier_domain::money::{Account, Allowance, Entry, Hold};
use atelier_domain::store::{Audit, StoreError};
use serde::de::DeserializeOwned;

use crate::codec::decode;
use crate::engine::Engine;
use crate::keys;
use crate::schema::Table;
use crate::store::jobs::{JobRow, open};

/// Reads every account, entry and hold. What is written meanwhile may show as a difference.
pub(super) fn all(engine: &Engine) -> Result<Audit, StoreError> {
    let mut audit = Audit::default();
    let mut posted: HashMap<Account, i128> = HashMap::new();
    for (_, entry) in rows::<Entry>(engine, Table::Entries)? {
        audit.entries += 1;
        audit.postings_sum += entry.postings.sum();
        for posting in entry.postings.as_slice() {
            *posted.entry(posting.account).or_default() += i128::from(posting.change);
        }
    }
    for (key, balance) in rows::<i64>(engine, Table::Balances)? {
        let account = keys::parse_account(&key)?;
        audit.accounts += 1;
        audit.sum += i128::from(balance);
        audit.negative += usize::from(balance < 0 && !account.may_be_negative());
        audit.differing += usize::from(posted.remove(&account).unwrap_or_default() != i128::from(balance));
    }
    audit.differing += posted.values().filter(|sum| **sum != 0).count();
    let open = open::all(engine)?.into_iter();
    let mut holds: HashMap<JobId, Hold> = open.filter_map(|(id, open)| Some((id, open.hold?))).collect();
    audit.holds = holds.len();
    let mut held: HashMap<Account, i128> = HashMap::new();
    for (_, JobRow { job, .. }) in rows::<JobRow>(engine, Table::Jobs)? {
        let hold = holds.remove(&job.id);
        let expected =
            if job.state.is_final() { None } else { Some(job.bill.held).filter(|held| !held.is_zero()) };
        audit.stray_holds += usize::from(hold.map(|hold| hold.amount) != expected);
        if let Some(hold) = hold.filter(|hold| hold.is_debited) {
            *held.entry(Account::Held(hold.user)).or_default() += i128::from(hold.amount.get());
        }
    }
    // Those of no job.
    audit.stray_holds += holds.len();
    for (_, allowance) in rows::<Allowance>(engine, Table::Allowances)? {
        if allowance.is_debited {
            *held.entry(Account::Allowance(allowance.user)).or_default() += i128::from(allowance.rest.get());
        }
    }
    for (key, balance) in rows::<i64>(engine, Table::Balances)? {
        let account = keys::parse_account(&key)?;
        if matches!(account, Account::Held(_) | Account::Allowance(_)) {
            let expected = held.remove(&account).unwrap_or_default();
            audit.differing += usize::from(expected != i128::from(balance));
        }
    }
    audit.differing += held.values().filter(|sum| **sum != 0).count();
    Ok(audit)
}

fn rows<T: DeserializeOwned>(engine: &Engine, table: Table) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
    let mut rows = Vec::new();
    for key in engine.keys(table, (Bound::Unbounded, Bound::Unbounded), usize::MAX)? {
        if let Some(row) = engine.get(table, &key)? {
            let value = decode(table, &key, &row)?;
            rows.push((key, value));
        }
    }
    Ok(rows)
}
