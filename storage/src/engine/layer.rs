//! Rows that lie above those of the trees.

use std::collections::HashMap;

use sled::IVec;

use crate::schema::Table;

/// Rows by table and key, each as it is from now on, or that it is no more.
#[derive(Debug, Default)]
pub(super) struct Layer(Vec<(Table, HashMap<IVec, Option<IVec>>)>);

impl Layer {
    /// `None` if the layer knows nothing of it.
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Option<Option<&IVec>> {
        let (_, rows) = self.0.iter().find(|(known, _)| *known == table)?;
        rows.get(key).map(Option::as_ref)
    }

    pub(super) fn set(&mut self, table: Table, key: &[u8], value: Option<IVec>) {
        self.rows(table).insert(key.into(), value);
    }

    /// Puts another one above it.
    pub(super) fn put(&mut self, other: Self) {
        if self.0.is_empty() {
            *self = other;
            return;
        }
        for (table, rows) in other.0 {
            self.rows(table).extend(rows);
        }
    }

    pub(super) fn tables(&self) -> impl ExactSizeIterator<Item = (Table, &HashMap<IVec, Option<IVec>>)> {
        self.0.iter().map(|(table, rows)| (*table, rows))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn rows(&mut self, table: Table) -> &mut HashMap<IVec, Option<IVec>> {
        // A transaction writes to a handful of tables.
        let place = self.0.iter().position(|(known, _)| *known == table).unwrap_or_else(|| {
            self.0.push((table, HashMap::new()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }
}
