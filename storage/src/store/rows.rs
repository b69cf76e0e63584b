//! Rows read and written as what they hold.

use std::ops::Bound;

use atelier_domain::store::{Overdue, StoreError, SweepPage, SweepPlace};
use atelier_domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Store;
use crate::codec::{decode, encode};
use crate::engine::{Txn, TxnError};
use crate::keys::files::ending;
use crate::schema::Table;

/// A row within a transaction.
pub(super) fn read<T: DeserializeOwned>(
    txn: &Txn<'_>,
    table: Table,
    key: &[u8],
) -> Result<Option<T>, TxnError> {
    let row = txn.get(table, key)?;
    Ok(row.map(|row| decode(table, key, &row)).transpose()?)
}

/// Writes a row within a transaction.
pub(super) fn write<T: Serialize>(
    txn: &Txn<'_>,
    table: Table,
    key: &[u8],
    value: &T,
) -> Result<(), TxnError> {
    txn.put(table, key, &encode(table, value)?)
}

impl Store {
    /// A row as it is now.
    pub(super) fn row<T: DeserializeOwned>(&self, table: Table, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.engine().get(table, key)?.map(|row| decode(table, key, &row)).transpose()
    }

    /// A page of the rows to which a table of times leads, up to `last`. A row that is gone since its key was read is left out.
    pub(super) fn swept<T>(
        &self,
        table: Table,
        last: Timestamp,
        page: &SweepPage,
        row: impl Fn(&[u8]) -> Result<Option<T>, StoreError>,
    ) -> Result<Overdue<T>, StoreError> {
        let first = match &page.after {
            Some(SweepPlace(key)) => Bound::Excluded(key.clone()),
            None => Bound::Unbounded,
        };
        let last = Bound::Included(ending(last, &[0xff; 16]).to_vec());
        let keys = self.engine().keys(table, (first, last), page.limit)?;
        let mut swept = Overdue { rows: Vec::with_capacity(keys.len()), unreadable: Vec::new(), next: None };
        for key in &keys {
            match row(key) {
                Ok(row) => swept.rows.extend(row),
                Err(StoreError::Damaged(why)) => swept.unreadable.push(why),
                Err(error) => return Err(error),
            }
        }
        if keys.len() == page.limit {
            swept.next = keys.into_iter().next_back().map(SweepPlace);
        }
        Ok(swept)
    }
}
