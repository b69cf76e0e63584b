use std::ops::Bound;

use atelier_domain::batch::{Batch, EndedLine};
use atelier_domain::id::{BatchId, UserId};
use atelier_domain::store::{BatchStore, StoreError};

use super::deletions::refuse_deleted;
use super::rows::{read, write};
use super::{Store, blob_names};
use crate::codec::{damaged, decode};
use crate::engine::{Txn, TxnError};
use crate::keys::batches as keys;
use crate::keys::files::Namer;
use crate::schema::Table;

impl BatchStore for Store {
    fn create_batch(&self, batch: &Batch) -> Result<(), StoreError> {
        self.engine().write(|txn| {
            if txn.contains(Table::Batches, batch.id.as_bytes())? {
                return Err(StoreError::Exists { what: format!("batch {}", batch.id) }.into());
            }
            refuse_deleted(txn, batch.owner)?;
            write(txn, Table::Batches, batch.id.as_bytes(), batch)?;
            txn.put_key(Table::BatchesByOwner, &keys::owned(batch.owner, batch.id))?;
            index(txn, batch)
        })
    }

    fn batch_of(&self, owner: UserId, id: BatchId) -> Result<Option<Batch>, StoreError> {
        let found: Option<Batch> = self.row(Table::Batches, id.as_bytes())?;
        // Its owner is about to be told.
        self.engine().settle()?;
        Ok(found.filter(|batch| batch.owner == owner))
    }

    fn batches_of(
        &self,
        owner: UserId,
        before: Option<BatchId>,
        limit: usize,
    ) -> Result<Vec<Batch>, StoreError> {
        let first = match before {
            Some(id) => Bound::Excluded(keys::owned(owner, id).to_vec()),
            None => Bound::Included(owner.as_bytes().to_vec()),
        };
        let last = Bound::Included([*owner.as_bytes(), [0xff; 16]].concat());
        let keys = self.engine().keys(Table::BatchesByOwner, (first, last), limit)?;
        let found = keys.iter().map(|key| self.batch_of(owner, keys::batch_of_owned(key)?));
        // Batches go with their owner alone: one that is gone since its key was read is left out.
        found.filter_map(Result::transpose).collect()
    }

    fn open_batches(&self, limit: usize) -> Result<Vec<Batch>, StoreError> {
        let mut open = Vec::new();
        for key in self.engine().keys(Table::BatchesOpen, (Bound::Unbounded, Bound::Unbounded), limit)? {
            // One that has ended since its key was read is left out.
            let batch: Option<Batch> = self.row(Table::Batches, &key)?;
            open.extend(batch.filter(|batch| !batch.state.is_final()));
        }
        Ok(open)
    }

    fn change_batch(
        &self,
        id: BatchId,
        change: &dyn Fn(&mut Batch) -> bool,
    ) -> Result<Option<Batch>, StoreError> {
        self.engine().write(|txn| {
            let Some(old) = read::<Batch>(txn, Table::Batches, id.as_bytes())? else { return Ok(None) };
            let mut new = old.clone();
            if !change(&mut new) {
                return Ok(Some(old));
            }
            if (new.id, new.owner, new.input) != (old.id, old.owner, old.input) {
                let what = format!("the id, owner or input of batch {id}, which must stay,");
                return Err(StoreError::Conflict { what }.into());
            }
            write(txn, Table::Batches, id.as_bytes(), &new)?;
            index(txn, &new)?;
            Ok(Some(new))
        })
    }

    fn end_line(&self, id: BatchId, line: &EndedLine) -> Result<(), StoreError> {
        let key = keys::line(id, line.number);
        self.engine().write(|txn| {
            if txn.contains(Table::BatchLines, &key)? {
                return Ok(());
            }
            let batch = read::<Batch>(txn, Table::Batches, id.as_bytes())?;
            let mut batch =
                batch.ok_or_else(|| StoreError::Conflict { what: format!("batch {id}, which is gone,") })?;
            refuse_deleted(txn, batch.owner)?;
            let counts = &mut batch.counts;
            *(if line.is_success() { &mut counts.completed } else { &mut counts.failed }) += 1;
            write(txn, Table::Batches, id.as_bytes(), &batch)?;
            write(txn, Table::BatchLines, &key, line)?;
            line.blob().map_or(Ok(()), |blob| blob_names::add(txn, &blob, Namer::Batch(id)))
        })
    }

    fn ended_line_numbers(&self, batch: BatchId, after: u32, limit: usize) -> Result<Vec<u32>, StoreError> {
        let keys = self.engine().keys(Table::BatchLines, lines(batch, after), limit)?;
        keys.iter().map(|key| keys::number_of_line(key)).collect()
    }

    fn ended_lines(&self, batch: BatchId, after: u32, limit: usize) -> Result<Vec<EndedLine>, StoreError> {
        let keys = self.engine().keys(Table::BatchLines, lines(batch, after), limit)?;
        let found = keys.iter().map(|key| {
            let row = self.engine().get(Table::BatchLines, key)?;
            let row = row.ok_or_else(|| damaged(Table::BatchLines, key, "it is gone"))?;
            decode(Table::BatchLines, key, &row)
        });
        found.collect()
    }

    fn forget_lines(&self, batch: BatchId, limit: usize) -> Result<usize, StoreError> {
        let keys = self.engine().keys(Table::BatchLines, lines(batch, 0), limit)?;
        for key in &keys {
            self.engine().write_soon(|txn| {
                let Some(line) = read::<EndedLine>(txn, Table::BatchLines, key)? else { return Ok(()) };
                txn.remove(Table::BatchLines, key)?;
                line.blob().map_or(Ok(()), |blob| blob_names::remove(txn, &blob, Namer::Batch(batch)))
            })?;
        }
        self.engine().make_durable()?;
        Ok(keys.len())
    }
}

/// Removes a batch whose owner is deleted, and whose lines are gone.
pub(super) fn erase(txn: &Txn<'_>, batch: &Batch) -> Result<(), TxnError> {
    blob_names::remove(txn, &batch.input, Namer::Batch(batch.id))?;
    txn.remove(Table::BatchesOpen, batch.id.as_bytes())?;
    txn.remove(Table::BatchesByOwner, &keys::owned(batch.owner, batch.id))?;
    txn.remove(Table::Batches, batch.id.as_bytes()).map(drop)
}

/// The keys of a batch's lines behind one of them.
fn lines(batch: BatchId, after: u32) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let key = |number| keys::line(batch, number).to_vec();
    (Bound::Excluded(key(after)), Bound::Included(key(u32::MAX)))
}

/// A batch that is not final is listed as open, and names its input.
fn index(txn: &Txn<'_>, batch: &Batch) -> Result<(), TxnError> {
    let namer = Namer::Batch(batch.id);
    if batch.state.is_final() {
        txn.remove(Table::BatchesOpen, batch.id.as_bytes())?;
        blob_names::remove(txn, &batch.input, namer)
    } else {
        txn.put_key(Table::BatchesOpen, batch.id.as_bytes())?;
        blob_names::add(txn, &batch.input, namer)
    }
}
