//! Rows read and written as what they hold.

use atelier_domain::store::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Store;
use crate::codec::{decode, encode};
use crate::engine::{Txn, TxnError};
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
}
