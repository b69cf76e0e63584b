//! A database made of rows that another held.

use std::path::{Path, PathBuf};

use atelier_domain::store::StoreError;

use super::walk::Change;
use super::{META, STATE_KEY, State, await_release, config, from_sled, guard, unavailable};
use crate::schema::Table;

/// A database that nobody uses yet.
#[derive(Debug)]
pub(crate) struct Filling {
    path: PathBuf,
    db: sled::Db,
    trees: Vec<sled::Tree>,
}

impl Filling {
    /// Begins one in a folder that is not there yet.
    pub(crate) fn begin(path: &Path) -> Result<Self, StoreError> {
        guard(|| {
            let db = config(path).open().map_err(from_sled)?;
            let names = Table::ALL.iter().map(|table| table.name()).chain([META]);
            let trees =
                names.map(|name| db.open_tree(name)).collect::<sled::Result<_>>().map_err(from_sled)?;
            Ok(Self { path: path.to_owned(), db, trees })
        })
    }

    /// Makes changes, in their order.
    pub(crate) fn put(&self, changes: &[Change]) -> Result<(), StoreError> {
        guard(|| {
            for Change { table, key, value } in changes {
                let tree = &self.trees[table.index()];
                match value {
                    Some(value) => tree.insert(key, value.as_slice()),
                    None => tree.remove(key),
                }
                .map_err(from_sled)?;
            }
            Ok(())
        })
    }

    /// Writes the state that the rows must agree with, and closes it; gives the length of its file.
    pub(crate) fn end(self, state: &State) -> Result<u64, StoreError> {
        guard(|| {
            self.trees[Table::ALL.len()].insert(STATE_KEY, state.to_bytes()).map_err(from_sled)?;
            self.db.flush().map(|_| ()).map_err(from_sled)
        })?;
        let Self { path, db, trees } = self;
        guard(move || {
            drop(trees);
            drop(db);
            Ok(())
        })?;
        let file = await_release(&path)?;
        file.sync_all().map_err(unavailable)?;
        Ok(file.metadata().map_err(unavailable)?.len())
    }
}
