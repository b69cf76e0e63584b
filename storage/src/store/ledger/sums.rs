//! Usage records, and the sums that are kept of them so that nobody has to read them all.

use std::collections::BTreeMap;
use std::ops::Bound;

use atelier_domain::money::{Dimension, Totals, TotalsKey, TotalsQuery, UsageRecord};
use atelier_domain::store::StoreError;

use crate::codec::{damaged, decode, encode};
use crate::engine::{Engine, Txn, TxnError};
use crate::keys;
use crate::schema::Table;

/// Records what ended, and adds it to the sums. Records that enter the same sums are added up first, and each sum is written once.
pub(super) fn add(txn: &Txn<'_>, records: &[UsageRecord]) -> Result<(), TxnError> {
    let mut alike: BTreeMap<_, (&UsageRecord, Totals)> = BTreeMap::new();
    for record in records {
        let key = keys::newest_first(record.user, record.id.as_bytes());
        txn.put(Table::Usage, &key, &encode(Table::Usage, record)?)?;
        let of = (record.user, record.key, &*record.model, record.at.day());
        alike.entry(of).or_insert_with(|| (record, Totals::default())).1.add(record);
    }
    let mut sums: BTreeMap<Vec<u8>, Totals> = BTreeMap::new();
    for (record, more) in alike.values() {
        for key in sums_of(record) {
            sums.entry(key).or_default().merge(more);
        }
    }
    for (key, more) in sums {
        let row = txn.get(Table::UsageTotals, &key)?;
        let sum = row.map(|row| decode(Table::UsageTotals, &key, &row)).transpose()?;
        let mut sum: Totals = sum.unwrap_or_default();
        sum.merge(&more);
        txn.put(Table::UsageTotals, &key, &encode(Table::UsageTotals, &sum)?)?;
    }
    Ok(())
}

/// The keys of all sums that a record enters.
fn sums_of(record: &UsageRecord) -> impl Iterator<Item = Vec<u8>> {
    let own = [Dimension::Day, Dimension::Model, Dimension::Provider, Dimension::Key];
    let over_all = [Dimension::Day, Dimension::Model, Dimension::Provider, Dimension::User];
    let own = own.map(|by| (Some(record.user), by));
    let over_all = over_all.map(|by| (None, by));
    own.into_iter().chain(over_all).map(|(user, by)| {
        let key = TotalsKey { day: record.at.day(), value: by.of(record) };
        keys::totals(&keys::totals_of(user, by), &key)
    })
}

/// A page of sums.
pub(super) fn read(
    engine: &Engine,
    query: &TotalsQuery,
    limit: usize,
) -> Result<Vec<(TotalsKey, Totals)>, StoreError> {
    let of = keys::totals_of(query.user, query.by);
    let of_day = |day: u32| keys::totals(&of, &TotalsKey { day, value: String::new() });
    let after = query.after.as_ref().filter(|after| after.day >= query.first_day);
    let first = match after {
        Some(after) => Bound::Excluded(keys::totals(&of, after)),
        None => Bound::Included(of_day(query.first_day)),
    };
    // One day later begins what is not asked for; behind the last day there can be, the next kind of sum.
    let last = match query.last_day.checked_add(1) {
        Some(day) => Bound::Excluded(of_day(day)),
        None => Bound::Included([&of_day(u32::MAX)[..], &[0xff]].concat()),
    };
    if after.is_some_and(|after| after.day > query.last_day) || query.first_day > query.last_day {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for key in engine.keys(Table::UsageTotals, (first, last), limit)? {
        let row = engine.get(Table::UsageTotals, &key)?;
        let row = row
            .ok_or_else(|| damaged(Table::UsageTotals, &key, "it is gone, though sums are never removed"))?;
        found.push((keys::parse_totals(&key)?, decode(Table::UsageTotals, &key, &row)?));
    }
    Ok(found)
}
