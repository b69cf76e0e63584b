//! The row that a job has while it is open: when it is due, and what is set aside for it.

use std::ops::Bound;

use atelier_domain::id::JobId;
use atelier_domain::job::Job;
use atelier_domain::money::Hold;
use atelier_domain::store::StoreError;
use atelier_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::codec::{damaged, decode};
use crate::engine::{Engine, Txn, TxnError};
use crate::keys;
use crate::schema::Table;
use crate::store::rows;

const TABLE: Table = Table::JobsOpenByOwner;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct OpenJob {
    pub(in crate::store) wake_at: Timestamp,
    pub(in crate::store) hold: Option<Hold>,
}

/// All of them, in no order that means anything.
pub(in crate::store) fn all(engine: &Engine) -> Result<Vec<(JobId, OpenJob)>, StoreError> {
    let keys = engine.keys(TABLE, (Bound::Unbounded, Bound::Unbounded), usize::MAX)?;
    let mut open = Vec::with_capacity(keys.len());
    for key in keys {
        // One that has ended since its key was read is left out.
        if let Some(row) = engine.get(TABLE, &key)? {
            open.push((keys::job_of_owned(&key)?, decode(TABLE, &key, &row)?));
        }
    }
    Ok(open)
}

/// Writes a new job's, if it is open.
pub(super) fn put(txn: &Txn<'_>, job: &Job, hold: Option<&Hold>) -> Result<(), TxnError> {
    if job.state.is_final() {
        return Ok(());
    }
    let open = OpenJob { wake_at: job.wake_at, hold: hold.copied() };
    rows::write(txn, TABLE, &keys::owned_job(job.owner, job.id), &open)
}

/// Keeps it in step with a job that stays as open or final as it was.
pub(super) fn follow(txn: &Txn<'_>, old: &Job, new: &Job) -> Result<(), TxnError> {
    if old.wake_at == new.wake_at || new.state.is_final() {
        return Ok(());
    }
    let key = keys::owned_job(new.owner, new.id);
    let open = OpenJob { wake_at: new.wake_at, ..read(txn, &key)? };
    rows::write(txn, TABLE, &key, &open)
}

/// Removes that of a job that has ended; gives what was set aside.
pub(super) fn remove(txn: &Txn<'_>, job: &Job) -> Result<Option<Hold>, TxnError> {
    let key = keys::owned_job(job.owner, job.id);
    let OpenJob { hold, .. } = read(txn, &key)?;
    txn.remove(TABLE, &key)?;
    Ok(hold)
}

fn read(txn: &Txn<'_>, key: &[u8]) -> Result<OpenJob, TxnError> {
    let open = rows::read(txn, TABLE, key)?;
    Ok(open.ok_or_else(|| damaged(TABLE, key, "it is gone, though its job is open"))?)
}
