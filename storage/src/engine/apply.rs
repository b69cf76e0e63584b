//! What a commit does to the trees and the disk.

use std::sync::atomic::Ordering;

use atelier_domain::store::StoreError;
use sled::transaction::{
    ConflictableTransactionError, TransactionError, Transactional as _, TransactionalTree,
};

use super::commits::{Batch, Commit};
use super::errors::{from_sled, no_trees, unavailable};
use super::pace::Pace;
use super::walk::{Change, Front, Told};
use super::{Engine, STATE_KEY, State};
use crate::mark::Reached;
use crate::schema::Table;

type Outcome<T> = Result<T, ConflictableTransactionError<StoreError>>;

impl Commit for Engine {
    fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        if batch.rows.is_empty() && batch.schema.is_none() {
            return Ok(());
        }
        self.guarded(|| self.put_into_trees(batch))
    }

    fn flush(&self) -> Result<(), StoreError> {
        if self.committed.load(Ordering::Acquire) <= self.durable.load(Ordering::Acquire) {
            return Ok(());
        }
        self.flushes.wait(|| self.guarded(|| self.flush_now()))
    }
}

impl Engine {
    /// Puts the rows into their trees, and the state that they leave, all of it or nothing.
    fn put_into_trees(&self, batch: &Batch) -> Result<(), StoreError> {
        let front = self.walk.enter();
        let tables = batch.rows.tables();
        let mut trees: Vec<&sled::Tree> = tables.map(|(table, _)| self.tree(table)).collect();
        trees.extend(self.trees.last());
        let pace = Pace::holding(batch.gives_way);
        let outcome = trees[..].transaction(|trees: &Vec<TransactionalTree>| {
            let damage = ConflictableTransactionError::Abort;
            let (meta, trees) = trees.split_last().ok_or_else(|| damage(no_trees()))?;
            let before = match meta.get(STATE_KEY)? {
                Some(bytes) => State::parse(&bytes).map_err(damage)?,
                None => State::default(),
            };
            let mut put = Put { after: before, front: front.as_ref(), told: Told::default() };
            for ((table, rows), tree) in batch.rows.tables().zip(trees) {
                for (key, new) in rows {
                    put.row(table, tree, key, new.as_ref())?;
                    pace.step();
                }
            }
            let Put { mut after, told, .. } = put;
            after.schema = batch.schema.unwrap_or(after.schema);
            if after == before {
                return Ok(None);
            }
            after.commit = batch.commit;
            meta.insert(STATE_KEY, after.to_bytes())?;
            Ok(Some((after, told)))
        });
        match outcome {
            Ok(None) => {}
            Ok(Some((after, told))) => {
                if front.is_some() {
                    self.walk.hear(after.commit, told);
                }
                self.committed.fetch_max(after.commit, Ordering::AcqRel);
            }
            Err(TransactionError::Abort(error)) => return Err(error),
            // sled writes nothing any more after a write that failed, be it in the middle of a commit.
            Err(TransactionError::Storage(error)) => return Err(from_sled(error)),
        }
        Ok(())
    }

    /// Returns when all that is committed is on disk.
    pub(super) fn flush_now(&self) -> Result<(), StoreError> {
        let committed = self.committed.load(Ordering::Acquire);
        self.db.flush().map_err(from_sled)?;
        self.file.sync_data().map_err(unavailable)?;
        let length = self.file.metadata().map_err(unavailable)?.len();
        self.mark.advance(Reached { commit: committed, length }).map_err(unavailable)?;
        self.durable.fetch_max(committed, Ordering::AcqRel);
        Ok(())
    }
}

/// What is put into the trees: what that does to the sums, and what a reader is to be told of it.
struct Put<'a> {
    after: State,
    /// Up to where somebody reads all rows.
    front: Option<&'a Front>,
    told: Told,
}

impl Put<'_> {
    fn row(
        &mut self,
        table: Table,
        tree: &TransactionalTree,
        key: &sled::IVec,
        new: Option<&sled::IVec>,
    ) -> Outcome<()> {
        let old = tree.get(key)?;
        if old.as_ref() == new {
            return Ok(());
        }
        match new {
            Some(value) => tree.insert(key, value)?,
            None => tree.remove(key)?,
        };
        let front = self.front.filter(|front| front.is_past(table, key));
        let sums = [Some(&mut self.after.sums), front.map(|_| &mut self.told.sums)];
        for sums in sums.into_iter().flatten() {
            if let Some(old) = &old {
                sums.subtract(table, key, old);
            }
            if let Some(new) = new {
                sums.add(table, key, new);
            }
        }
        if front.is_some_and(|front| front.wants_rows) {
            let value = new.map(|value| value.to_vec());
            self.told.changes.push(Change { table, key: key.to_vec(), value });
        }
        Ok(())
    }
}
