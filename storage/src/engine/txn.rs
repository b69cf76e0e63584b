//! Reading and writing inside one transaction.

use std::cell::{Cell, RefCell};

use atelier_domain::store::StoreError;
use sled::IVec;

use super::commits::{Left, Seen};
use super::errors::from_sled;
use super::layer::Layer;
use super::pace::Pace;
use super::{Engine, INLINE_BYTES_MAX};
use crate::codec::{ROW_BYTES_MAX, damaged};
use crate::schema::Table;
use crate::sealing::Cipher;

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
    /// sled's failure, or damage to what the engine itself laid down.
    Engine(StoreError),
}

impl From<StoreError> for TxnError {
    fn from(error: StoreError) -> Self {
        TxnError::Abort(error)
    }
}

/// A transaction: all tables at one moment, and what it changes.
pub(crate) struct Txn<'a> {
    engine: &'a Engine,
    seen: &'a Seen<'a>,
    own: RefCell<Layer>,
    /// What it has read of the trees: most rows are read before they are written.
    read: RefCell<Layer>,
    schema: Cell<Option<u32>>,
    pace: Pace,
}

impl<'a> Txn<'a> {
    pub(super) fn new(engine: &'a Engine, seen: &'a Seen<'a>, pace: Pace) -> Self {
        let schema = Cell::default();
        Self { engine, seen, own: RefCell::default(), read: RefCell::default(), schema, pace }
    }

    /// What it leaves.
    pub(super) fn finish(self) -> Left {
        Left { rows: self.own.into_inner(), schema: self.schema.get() }
    }

    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, TxnError> {
        let Some(row) = self.row(table, key)? else { return Ok(None) };
        let (generation, length) = match Stored::parse(table, key, &row).map_err(TxnError::Engine)? {
            Stored::Inline(value) => return Ok(Some(value.to_vec())),
            Stored::Chunked { generation, length } => (generation, length),
        };
        let mut value = Vec::with_capacity(length);
        for index in 0..chunk_count(length) {
            let chunk = self.row(Table::Chunks, &chunk_key(table, key, generation, index))?;
            let missing = || TxnError::Engine(damaged(table, key, "a part of it is missing"));
            value.extend_from_slice(&chunk.ok_or_else(missing)?);
        }
        Ok(Some(value))
    }

    /// As [`Engine::cipher`].
    pub(crate) fn cipher(&self) -> Option<&Cipher> {
        self.engine.cipher()
    }

    pub(crate) fn contains(&self, table: Table, key: &[u8]) -> Result<bool, TxnError> {
        Ok(self.row(table, key)?.is_some())
    }

    /// Writes a row that has no value, in a table whose rows never have one.
    pub(crate) fn put_key(&self, table: Table, key: &[u8]) -> Result<(), TxnError> {
        self.set(table, key, Some(&[INLINE]));
        Ok(())
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
                self.set(Table::Chunks, &chunk_key(table, key, self.seen.commit, index), Some(chunk));
            }
            row.push(CHUNKED);
            row.extend_from_slice(&self.seen.commit.to_be_bytes());
            row.extend_from_slice(&length.to_be_bytes());
        }
        self.set(table, key, Some(&row));
        Ok(())
    }

    /// `false` if there was none.
    pub(crate) fn remove(&self, table: Table, key: &[u8]) -> Result<bool, TxnError> {
        self.remove_chunks(table, key)?;
        let is_there = self.contains(table, key)?;
        if is_there {
            self.set(table, key, None);
        }
        Ok(is_there)
    }

    pub(super) fn set_schema(&self, version: u32) {
        self.schema.set(Some(version));
    }

    /// A row as it lies in its tree, or above it.
    fn row(&self, table: Table, key: &[u8]) -> Result<Option<IVec>, TxnError> {
        if let Some(row) = self.own.borrow().get(table, key) {
            return Ok(row.cloned());
        }
        if let Some(row) = self.seen.above.iter().rev().find_map(|layer| layer.get(table, key)) {
            return Ok(row.cloned());
        }
        if let Some(row) = self.read.borrow().get(table, key) {
            return Ok(row.cloned());
        }
        let row = self.engine.tree(table).get(key).map_err(|error| TxnError::Engine(from_sled(error)))?;
        self.read.borrow_mut().set(table, key, row.clone());
        Ok(row)
    }

    fn set(&self, table: Table, key: &[u8], row: Option<&[u8]>) {
        self.own.borrow_mut().set(table, key, row.map(IVec::from));
        self.pace.step();
    }

    fn remove_chunks(&self, table: Table, key: &[u8]) -> Result<(), TxnError> {
        let Some(row) = self.row(table, key)? else { return Ok(()) };
        let stored = Stored::parse(table, key, &row).map_err(TxnError::Engine)?;
        if let Stored::Chunked { generation, length } = stored {
            for index in 0..chunk_count(length) {
                self.set(Table::Chunks, &chunk_key(table, key, generation, index), None);
            }
        }
        Ok(())
    }
}
