//! The migration from version 2, which kept what a job's two rows hold in five.

use std::ops::Bound;

use atelier_domain::job::Job;
use atelier_domain::store::StoreError;
use serde::de::IgnoredAny;

use super::row;
use crate::codec::decode;
use crate::engine::{Engine, Txn, TxnError};
use crate::schema::Table;
use crate::store::events::Told;
use crate::store::{events, rows};

/// Keys read at once.
const PAGE: usize = 256;

/// Brings each job's events into its row, and its times and its hold into that of open jobs.
pub(crate) fn gather_job_rows(engine: &Engine) -> Result<(), StoreError> {
    each(engine, Table::Jobs, gather)?;
    each(engine, Table::JobsOpen, |txn, key| txn.remove(Table::JobsOpen, key).map(drop))
}

fn each(
    engine: &Engine,
    table: Table,
    act: impl Fn(&Txn<'_>, &[u8]) -> Result<(), TxnError>,
) -> Result<(), StoreError> {
    let mut from = Bound::Unbounded;
    loop {
        let keys = engine.keys(table, (from, Bound::Unbounded), PAGE)?;
        let Some(last) = keys.last() else { return Ok(()) };
        from = Bound::Excluded(last.clone());
        for key in &keys {
            engine.write_soon(|txn| act(txn, key))?;
        }
    }
}

fn gather(txn: &Txn<'_>, key: &[u8]) -> Result<(), TxnError> {
    let Some(row) = txn.get(Table::Jobs, key)? else { return Ok(()) };
    #[derive(serde::Deserialize)]
    struct Current {
        #[serde(rename = "told")]
        _told: IgnoredAny,
    }
    if decode::<Current>(Table::Jobs, key, &row).is_ok() {
        // Done before a crash.
        return Ok(());
    }
    let job: Job = decode(Table::Jobs, key, &row)?;
    let told: Told = match rows::read(txn, Table::JobEvents, key)? {
        Some(told) => told,
        None => events::all_forgotten(txn, &job)?,
    };
    row::write(txn, &job, &told)?;
    let hold = rows::read(txn, Table::Holds, key)?;
    super::open::put(txn, &job, hold.as_ref())?;
    txn.remove(Table::JobEvents, key)?;
    txn.remove(Table::Holds, key).map(drop)
}
