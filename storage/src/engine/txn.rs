//! Reading and writing inside one transaction.

use std::cell::{Cell, RefCell};

use atelier_domain::store::StoreError;
use sled::transaction::{ConflictableTransactionError, TransactionalTree, UnabortableTransactionError};

use super::walk::{Change, Front, Told};
use super::{INLINE_BYTES_MAX, State};
use crate::codec::{ROW_BYTES_MAX, damaged};
use crate::schema::Table;

const INLINE: u8 = 0;
const CHUNKED: u8 = 1;

/// A row as it lies in its tree.
pub(super) enum Stored<'a> {
    Inline(&'a [u8]),
    /// The value lies in `chunks`, under keys that name the commit which wrote it.
    Chunked {
        generation: u64,
        length: usize,
    },
}

impl<'a> Stored<'a> {
    pub(super) fn parse(table: Table, key: &[u8], row: &'a [u8]) -> Result<Self, StoreError> {
        let chunked = |rest: &[u8]| {
            let (generation, length) = rest.split_first_chunk::<8>()?;
            let length = u32::from_be_bytes(*length.as_array()?) as usize;
            let generation = u64::from_be_bytes(*generation);
            (length <= ROW_BYTES_MAX).then_some(Stored::Chunked { generation, length })
        };
        match row.split_first() {
            Some((&INLINE, value)) => Some(Stored::Inline(value)),
            Some((&CHUNKED, rest)) => chunked(rest),
            _ => None,
        }
        .ok_or_else(|| damaged(table, key, "its layout is not known"))
    }
}

pub(super) fn chunk_count(length: usize) -> u32 {
    u32::try_from(length.div_ceil(INLINE_BYTES_MAX)).unwrap_or(u32::MAX)
}

/// Table, length of key, key, generation, index: no two rows share a chunk.
pub(super) fn chunk_key(table: Table, key: &[u8], generation: u64, index: u32) -> Vec<u8> {
    let mut bytes = vec![table as u8];
    bytes.extend_from_slice(&(key.len() as u64).to_be_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes.extend_from_slice(&index.to_be_bytes());
    bytes
}

/// Why a transaction's body ended without a commit.
pub(crate) enum TxnError {
    /// Its own decision, or a row whose contents mean nothing to it: the others are none the worse.
    Abort(StoreError),
    /// Damage to what the engine itself laid down.
    Damage(StoreError),
    Engine(UnabortableTransactionError),
}

/// Why sled was told to end a transaction.
pub(super) enum Ended {
    ByItsBody(StoreError),
    ByDamage(StoreError),
}

impl TxnError {
    pub(super) fn into_sled(self) -> ConflictableTransactionError<Ended> {
        match self {
            TxnError::Abort(error) => ConflictableTransactionError::Abort(Ended::ByItsBody(error)),
            TxnError::Damage(error) => ConflictableTransactionError::Abort(Ended::ByDamage(error)),
            TxnError::Engine(error) => error.into(),
        }
    }
}

impl From<StoreError> for TxnError {
    fn from(error: StoreError) -> Self {
        TxnError::Abort(error)
    }
}

impl From<UnabortableTransactionError> for TxnError {
    fn from(error: UnabortableTransactionError) -> Self {
        TxnError::Engine(error)
    }
}

/// A transaction: all tables at one moment, and what it changes.
pub(crate) struct Txn<'a> {
    trees: &'a [TransactionalTree],
    before: State,
    after: Cell<State>,
    /// Up to where somebody reads all rows.
    front: Option<&'a Front>,
    /// What it changes of the rows that were read.
    told: RefCell<Told>,
}

impl<'a> Txn<'a> {
    pub(super) fn new(trees: &'a [TransactionalTree], before: State, front: Option<&'a Front>) -> Self {
        Self { trees, before, after: Cell::new(before), front, told: RefCell::default() }
    }

    /// The state to commit, if anything changed, and what a reader is to be told.
    pub(super) fn finish(self) -> (Option<State>, Told) {
        let after = self.after.get();
        let changed = after != self.before;
        (changed.then(|| State { commit: self.generation(), ..after }), self.told.into_inner())
    }

    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, TxnError> {
        let Some(row) = self.tree(table).get(key)? else { return Ok(None) };
        let (generation, length) = match Stored::parse(table, key, &row).map_err(TxnError::Damage)? {
            Stored::Inline(value) => return Ok(Some(value.to_vec())),
            Stored::Chunked { generation, length } => (generation, length),
        };
        let mut value = Vec::with_capacity(length);
        for index in 0..chunk_count(length) {
            let chunk = self.tree(Table::Chunks).get(chunk_key(table, key, generation, index))?;
            let missing = || TxnError::Damage(damaged(table, key, "a part of it is missing"));
            value.extend_from_slice(&chunk.ok_or_else(missing)?);
        }
        Ok(Some(value))
    }

    pub(crate) fn contains(&self, table: Table, key: &[u8]) -> Result<bool, TxnError> {
        Ok(self.tree(table).get(key)?.is_some())
    }

    pub(crate) fn put(&self, table: Table, key: &[u8], value: &[u8]) -> Result<(), TxnError> {
        self.remove_chunks(table, key)?;
        let mut row = Vec::with_capacity(1 + value.len().min(INLINE_BYTES_MAX));
        if value.len() <= INLINE_BYTES_MAX {
            row.push(INLINE);
            row.extend_from_slice(value);
        } else {
            let length = u32::try_from(value.len()).ok().filter(|_| value.len() <= ROW_BYTES_MAX);
            let length = length.ok_or_else(|| {
                StoreError::Unavailable(format!("a row of {table} may have {ROW_BYTES_MAX} bytes at most"))
            })?;
            for (index, chunk) in (0..).zip(value.chunks(INLINE_BYTES_MAX)) {
                self.put_row(Table::Chunks, &chunk_key(table, key, self.generation(), index), chunk)?;
            }
            row.push(CHUNKED);
            row.extend_from_slice(&self.generation().to_be_bytes());
            row.extend_from_slice(&length.to_be_bytes());
        }
        self.put_row(table, key, &row)
    }

    /// `false` if there was none.
    pub(crate) fn remove(&self, table: Table, key: &[u8]) -> Result<bool, TxnError> {
        self.remove_chunks(table, key)?;
        self.remove_row(table, key)
    }

    pub(super) fn set_schema(&self, version: u32) {
        self.after.set(State { schema: version, ..self.after.get() });
    }

    /// The number of this commit, should it come about.
    fn generation(&self) -> u64 {
        self.before.commit + 1
    }

    fn tree(&self, table: Table) -> &TransactionalTree {
        &self.trees[table.index()]
    }

    fn put_row(&self, table: Table, key: &[u8], row: &[u8]) -> Result<(), TxnError> {
        let old = self.tree(table).insert(key, row)?;
        self.changed(table, key, old.as_deref(), Some(row));
        Ok(())
    }

    fn remove_row(&self, table: Table, key: &[u8]) -> Result<bool, TxnError> {
        let Some(old) = self.tree(table).remove(key)? else { return Ok(false) };
        self.changed(table, key, Some(&old), None);
        Ok(true)
    }

    /// Keeps the sums, and notes what a reader has to hear of.
    fn changed(&self, table: Table, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        let mut after = self.after.get();
        let mut told = self.told.borrow_mut();
        let front = self.front.filter(|front| front.is_past(table, key));
        if let Some(old) = old {
            after.sums.subtract(table, key, old);
            if front.is_some() {
                told.sums.subtract(table, key, old);
            }
        }
        if let Some(new) = new {
            after.sums.add(table, key, new);
            if front.is_some() {
                told.sums.add(table, key, new);
            }
        }
        if front.is_some_and(|front| front.wants_rows) {
            told.changes.push(Change { table, key: key.to_vec(), value: new.map(<[u8]>::to_vec) });
        }
        self.after.set(after);
    }

    fn remove_chunks(&self, table: Table, key: &[u8]) -> Result<(), TxnError> {
        let Some(row) = self.tree(table).get(key)? else { return Ok(()) };
        let stored = Stored::parse(table, key, &row).map_err(TxnError::Damage)?;
        if let Stored::Chunked { generation, length } = stored {
            for index in 0..chunk_count(length) {
                self.remove_row(Table::Chunks, &chunk_key(table, key, generation, index))?;
            }
        }
        Ok(())
    }
}
