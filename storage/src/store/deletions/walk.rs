//! What lies under no owner, and is found by looking at all of it: tables whose rows go by themselves after some time.

use std::ops::Bound;

use atelier_domain::file::LeavingFile;
use atelier_domain::id::{DeliveryId, UserId};
use atelier_domain::response::StoredResponse;
use atelier_domain::store::{ResponseStore as _, StoreError};
use serde::{Deserialize, Serialize};

use crate::schema::Table;
use crate::store::{Store, deliveries};

/// Which tables, in this order. It is stored: add to its end, and change no word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Walked {
    Responses,
    Deliveries,
    LeavingFiles,
}

const ALL: [Walked; 3] = [Walked::Responses, Walked::Deliveries, Walked::LeavingFiles];

/// How far a walk came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Walk {
    table: Walked,
    /// The last key that was looked at.
    after: Option<Vec<u8>>,
}

impl Walk {
    pub(super) fn first() -> Self {
        Self { table: ALL[0], after: None }
    }

    /// That of the table behind its own.
    fn next(&self) -> Option<Self> {
        let place = ALL.iter().position(|table| *table == self.table)?;
        Some(Self { table: *ALL.get(place + 1)?, after: None })
    }
}

impl Store {
    /// Looks at some rows and removes the user's among them; gives where to go on, `None` at the end of all.
    pub(super) fn walk_on(
        &self,
        user: UserId,
        walk: Walk,
        limit: usize,
        unreadable: &mut Vec<String>,
    ) -> Result<Option<Walk>, StoreError> {
        let table = match walk.table {
            Walked::Responses => Table::Responses,
            Walked::Deliveries => Table::DeliveriesById,
            Walked::LeavingFiles => Table::FilesLeaving,
        };
        let first = walk.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let keys = self.engine().keys(table, (first, Bound::Unbounded), limit)?;
        for key in &keys {
            let looked_at = match walk.table {
                Walked::Responses => self.erase_response(user, key),
                Walked::Deliveries => self.erase_delivery(user, key),
                Walked::LeavingFiles => self.erase_leaving(user, key),
            };
            match looked_at {
                Ok(()) => {}
                // Whose it is cannot be told.
                Err(StoreError::Damaged(why)) => unreadable.push(why),
                Err(error) => return Err(error),
            }
        }
        Ok(match keys.into_iter().next_back() {
            Some(last) => Some(Walk { after: Some(last), ..walk }),
            None => walk.next(),
        })
    }

    fn erase_response(&self, user: UserId, key: &[u8]) -> Result<(), StoreError> {
        match self.row::<StoredResponse>(Table::Responses, key)?.filter(|response| response.owner == user) {
            Some(response) => self.remove_response(user, response.id).map(drop),
            None => Ok(()),
        }
    }

    fn erase_delivery(&self, user: UserId, key: &[u8]) -> Result<(), StoreError> {
        let id: DeliveryId = deliveries::delivery_id(Table::DeliveriesById, key)?;
        match self.find_delivery(id)?.filter(|delivery| delivery.owner == user) {
            Some(_) => self.engine().write_soon(|txn| deliveries::remove(txn, id)),
            None => Ok(()),
        }
    }

    fn erase_leaving(&self, user: UserId, key: &[u8]) -> Result<(), StoreError> {
        match self.row::<LeavingFile>(Table::FilesLeaving, key)?.filter(|file| file.owner == user) {
            Some(_) => self.engine().write_soon(|txn| txn.remove(Table::FilesLeaving, key)).map(drop),
            None => Ok(()),
        }
    }
}
