//! Live calls: allowances, and their journal's way into the books.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;
use std::time::Instant;

use atelier_domain::id::{EntryId, UserId};
use atelier_domain::money::{
    Account, Allowance, AllowanceWanted, Entry, EntryKind, Folded, LiveUse, MicroCredits, Periods, Postings,
    Refusal, Subject, UsageRecord,
};
use atelier_domain::store::StoreError;
use atelier_domain::time::Timestamp;

use super::{books, refused, sums};
use crate::codec::{decode, encode};
use crate::engine::{Engine, Pace, Txn, TxnError};
use crate::journal::{Batch, Journal, Place};
use crate::schema::Table;
use crate::store::deletions::refuse_deleted;

const PLACE: &[u8] = b"place";

/// Up to where the journal is in the books, if any of it is.
pub(in crate::store) fn journal_place(engine: &Engine) -> Result<Option<Place>, StoreError> {
    engine.get(Table::JournalPlace, PLACE)?.map(|row| decode(Table::JournalPlace, PLACE, &row)).transpose()
}

/// Sets aside as much as is wanted and there, but the least that is needed, or nothing.
pub(super) fn take(txn: &Txn<'_>, wanted: &AllowanceWanted) -> Result<MicroCredits, TxnError> {
    let AllowanceWanted { id, user, key, least, is_debited, at, .. } = *wanted;
    refuse_deleted(txn, user)?;
    let now = Periods::at(at);
    let subjects = [Subject::User(user), Subject::Key(key)];
    let mut amount = wanted.most.max(least);
    if is_debited {
        let there = u64::try_from(books::balance(txn, Account::Available(user))?).unwrap_or(0);
        let available = MicroCredits::new(there).unwrap_or(MicroCredits::MAX);
        if available < least {
            return Err(refused(Refusal::InsufficientCredits { needed: least, available }));
        }
        amount = amount.min(available);
    }
    for subject in subjects {
        amount = amount.min(books::spending(txn, subject)?.left(now));
    }
    // What is needed is refused by name where it is not there.
    amount = amount.max(least);
    for subject in subjects {
        let mut spending = books::spending(txn, subject)?;
        spending.reserve(subject, now, amount).map_err(refused)?;
        books::put_spending(txn, subject, &spending)?;
    }
    if is_debited {
        let (from, to) = (Account::Available(user), Account::Allowance(user));
        let postings = Postings::transfer(from, to, amount);
        books::post_once(txn, &entry(id, at, user, EntryKind::Allowance, postings))?;
    }
    let row = Allowance { user, key, rest: amount, is_debited, at };
    txn.put(Table::Allowances, id.as_bytes(), &encode(Table::Allowances, &row)?)?;
    Ok(amount)
}

fn entry(id: EntryId, at: Timestamp, user: UserId, kind: EntryKind, postings: Postings) -> Entry {
    Entry { id, at, user, kind, job: None, call: None, by: None, reason: None, postings }
}

pub(super) fn record(journal: &Journal, used: &LiveUse) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(used)
        .map_err(|error| StoreError::Unavailable(format!("a usage record cannot be written: {error}")))?;
    journal.append(&bytes)
}

/// Enters all that was recorded into the books. Until then it gives way to other threads: where calls come faster than it goes on so, it must
/// not fall behind.
pub(super) fn fold(
    engine: &Engine,
    journal: &Journal,
    gives_way: Option<Instant>,
) -> Result<Folded, StoreError> {
    let mut folded = Folded::default();
    let pace = Pace::until(gives_way);
    let enter = |batch: &Batch| {
        let uses = batch.records.iter().map(|record| {
            pace.step();
            serde_json::from_slice(record).map_err(|error| {
                StoreError::Damaged(format!("a record of live calls is unreadable: {error}"))
            })
        });
        let uses: Vec<LiveUse> = uses.collect::<Result<_, _>>()?;
        let id = EntryId::new();
        let uncharged = engine.write_behind(gives_way, |txn| {
            let uncharged = enter_batch(txn, &uses, id)?;
            txn.put(Table::JournalPlace, PLACE, &encode(Table::JournalPlace, &batch.after)?)?;
            Ok(uncharged)
        })?;
        folded.calls += uses.len();
        folded.uncharged = folded.uncharged.plus(uncharged).unwrap_or(MicroCredits::MAX);
        Ok(())
    };
    journal.fold(enter, || engine.make_durable())?;
    Ok(folded)
}

/// Charges calls to their allowances; gives what those do not cover.
fn enter_batch(txn: &Txn<'_>, uses: &[LiveUse], id: EntryId) -> Result<MicroCredits, TxnError> {
    let mut allowances: BTreeMap<EntryId, Drawn> = BTreeMap::new();
    let mut charges: BTreeMap<UserId, (Timestamp, Postings)> = BTreeMap::new();
    let mut uncharged = MicroCredits::ZERO;
    let mut records: Vec<UsageRecord> = Vec::with_capacity(uses.len());
    for LiveUse { record, allowance } in uses {
        let mut record = record.clone();
        let cost = record.cost.unwrap_or_default();
        if !cost.is_zero() {
            let mut charged = MicroCredits::ZERO;
            if let Some(of) = allowance
                && let Some(drawn) = find(txn, &mut allowances, *of)?
            {
                charged = drawn.take(cost);
                let row = &drawn.row;
                if row.is_debited {
                    record.is_debited = true;
                    let (_, postings) = charges.entry(row.user).or_insert((record.at, Postings::default()));
                    let all = std::mem::take(postings);
                    *postings = all.and(Account::Allowance(row.user), Account::Revenue, charged);
                }
            }
            record.cost = Some(charged);
            uncharged = uncharged.plus(cost.beyond(charged)).unwrap_or(MicroCredits::MAX);
        }
        records.push(record);
    }
    for (user, (at, postings)) in charges {
        books::post(txn, &entry(id, at, user, EntryKind::Spend, postings))?;
    }
    for (of, Drawn { row, taken }) in allowances {
        for subject in [Subject::User(row.user), Subject::Key(row.key)] {
            let mut spending = books::spending(txn, subject)?;
            spending.settle(row.periods(), taken, taken);
            books::put_spending(txn, subject, &spending)?;
        }
        txn.put(Table::Allowances, of.as_bytes(), &encode(Table::Allowances, &row)?)?;
    }
    sums::add(txn, &records)?;
    Ok(uncharged)
}

/// An allowance, and what calls took from it.
struct Drawn {
    row: Allowance,
    taken: MicroCredits,
}

impl Drawn {
    /// Takes a cost, or what there is of it; gives what was taken.
    fn take(&mut self, cost: MicroCredits) -> MicroCredits {
        let charged = cost.min(self.row.rest);
        self.row.rest = self.row.rest.beyond(charged);
        self.taken = self.taken.plus(charged).unwrap_or(MicroCredits::MAX);
        charged
    }
}

fn find<'a>(
    txn: &Txn<'_>,
    known: &'a mut BTreeMap<EntryId, Drawn>,
    id: EntryId,
) -> Result<Option<&'a mut Drawn>, TxnError> {
    match known.entry(id) {
        MapEntry::Occupied(drawn) => Ok(Some(drawn.into_mut())),
        MapEntry::Vacant(place) => match txn.get(Table::Allowances, id.as_bytes())? {
            Some(row) => {
                let row = decode(Table::Allowances, id.as_bytes(), &row)?;
                Ok(Some(place.insert(Drawn { row, taken: MicroCredits::ZERO })))
            }
            None => Ok(None),
        },
    }
}

/// Gives back what is left of an allowance; nothing if it is not there. What was recorded of it must be in the books.
pub(super) fn give_back(engine: &Engine, id: EntryId) -> Result<MicroCredits, StoreError> {
    let back = EntryId::new();
    engine.write_soon(|txn| {
        let Some(row) = txn.get(Table::Allowances, id.as_bytes())? else { return Ok(MicroCredits::ZERO) };
        let row: Allowance = decode(Table::Allowances, id.as_bytes(), &row)?;
        for subject in [Subject::User(row.user), Subject::Key(row.key)] {
            let mut spending = books::spending(txn, subject)?;
            spending.settle(row.periods(), row.rest, MicroCredits::ZERO);
            books::put_spending(txn, subject, &spending)?;
        }
        if row.is_debited && !row.rest.is_zero() {
            let (from, to) = (Account::Allowance(row.user), Account::Available(row.user));
            let postings = Postings::transfer(from, to, row.rest);
            books::post(txn, &entry(back, row.at, row.user, EntryKind::Return, postings))?;
        }
        txn.remove(Table::Allowances, id.as_bytes())?;
        Ok(row.rest)
    })
}
