//! Which rows name a blob: written in the transaction of the row that names it, so that a blob without a name is needed by none.

use std::collections::BTreeSet;
use std::ops::Bound;

use atelier_domain::blob::BlobId;
use atelier_domain::job::Job;
use atelier_domain::store::StoreError;

use super::Store;
use crate::codec::decode;
use crate::engine::{Engine, Txn, TxnError};
use crate::keys::files::{Namer, blob_name};
use crate::schema::Table;

/// Rows read at once by the migration.
const PAGE: usize = 256;

impl Store {
    /// Whether a row names the blob.
    pub(super) fn is_named(&self, id: &BlobId) -> Result<bool, StoreError> {
        let last = [&id.0[..], &[0xff; 17]].concat();
        let range = (Bound::Included(id.0.to_vec()), Bound::Included(last));
        Ok(!self.engine().keys(Table::BlobNames, range, 1)?.is_empty())
    }
}

pub(super) fn add(txn: &Txn<'_>, blob: &BlobId, namer: Namer) -> Result<(), TxnError> {
    txn.put_key(Table::BlobNames, &blob_name(blob, namer))
}

pub(super) fn remove(txn: &Txn<'_>, blob: &BlobId, namer: Namer) -> Result<(), TxnError> {
    txn.remove(Table::BlobNames, &blob_name(blob, namer)).map(|_| ())
}

/// Keeps the names in step with a job's row.
pub(super) fn follow(txn: &Txn<'_>, old: Option<&Job>, new: &Job) -> Result<(), TxnError> {
    let (was, is) = (old.map_or_else(BTreeSet::new, Job::blobs), new.blobs());
    let namer = Namer::Job(new.id);
    is.difference(&was).try_for_each(|blob| add(txn, blob, namer))?;
    was.difference(&is).try_for_each(|blob| remove(txn, blob, namer))
}

/// The migration from version 1, whose jobs named their blobs in their rows alone.
pub(crate) fn name_blobs(engine: &Engine) -> Result<(), StoreError> {
    let mut from = Bound::Unbounded;
    loop {
        let keys = engine.keys(Table::Jobs, (from, Bound::Unbounded), PAGE)?;
        let Some(last) = keys.last() else { return Ok(()) };
        from = Bound::Excluded(last.clone());
        for key in &keys {
            let Some(row) = engine.get(Table::Jobs, key)? else { continue };
            let job: Job = decode(Table::Jobs, key, &row)?;
            engine.write_soon(|txn| follow(txn, None, &job))?;
        }
    }
}
