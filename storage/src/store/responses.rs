use std::ops::Bound;

use atelier_domain::id::{ResponseId, UserId};
use atelier_domain::response::StoredResponse;
use atelier_domain::store::{Overdue, ResponseStore, StoreError, SweepPage};
use atelier_domain::time::Timestamp;

use super::Store;
use super::deletions::refuse_deleted;
use super::rows::{read, write};
use crate::codec::damaged;
use crate::engine::{Txn, TxnError};
use crate::keys::files as keys;
use crate::schema::Table;

impl ResponseStore for Store {
    fn create_response(&self, response: &StoredResponse, quota_bytes: u64) -> Result<(), StoreError> {
        let key = response.id.as_bytes();
        self.engine().write(|txn| {
            if txn.contains(Table::Responses, key)? {
                return Err(StoreError::Exists { what: format!("response {}", response.id) }.into());
            }
            refuse_deleted(txn, response.owner)?;
            take_bytes(txn, response.owner, response.bytes(), quota_bytes)?;
            write(txn, Table::Responses, key, response)?;
            txn.put_key(Table::ResponsesExpiring, &keys::ending(response.expires, key))
        })
    }

    fn response_of(&self, owner: UserId, id: ResponseId) -> Result<Option<StoredResponse>, StoreError> {
        let found: Option<StoredResponse> = self.row(Table::Responses, id.as_bytes())?;
        Ok(found.filter(|response| response.owner == owner))
    }

    fn responses_of(
        &self,
        owner: UserId,
        after: Option<ResponseId>,
        limit: usize,
    ) -> Result<(Vec<StoredResponse>, Option<ResponseId>), StoreError> {
        let first = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.as_bytes().to_vec()));
        let keys = self.engine().keys(Table::Responses, (first, Bound::Unbounded), limit)?;
        let mut found = Vec::new();
        for key in &keys {
            let response: Option<StoredResponse> = self.row(Table::Responses, key)?;
            found.extend(response.filter(|response| response.owner == owner));
        }
        let Some(last) = keys.last().filter(|_| keys.len() == limit) else { return Ok((found, None)) };
        let last = last.as_array().ok_or_else(|| damaged(Table::Responses, last, "its key is no id"))?;
        Ok((found, Some(ResponseId::from_bytes(*last))))
    }

    fn remove_response(&self, owner: UserId, id: ResponseId) -> Result<bool, StoreError> {
        let key = id.as_bytes();
        self.engine().write(|txn| {
            let found = read::<StoredResponse>(txn, Table::Responses, key)?;
            let Some(response) = found.filter(|response| response.owner == owner) else { return Ok(false) };
            give_bytes(txn, owner, response.bytes())?;
            txn.remove(Table::ResponsesExpiring, &keys::ending(response.expires, key))?;
            txn.remove(Table::Responses, key)
        })
    }

    fn expired_responses(
        &self,
        now: Timestamp,
        page: &SweepPage,
    ) -> Result<Overdue<(UserId, ResponseId)>, StoreError> {
        self.swept(Table::ResponsesExpiring, now, page, |key| {
            let id = keys::id_of_ending(Table::ResponsesExpiring, key)?;
            let found: Option<StoredResponse> = self.row(Table::Responses, &id)?;
            Ok(found.map(|response| (response.owner, response.id)))
        })
    }
}

/// Counts bytes that an owner keeps here from now on, beside their files.
fn take_bytes(txn: &Txn<'_>, owner: UserId, bytes: u64, quota_bytes: u64) -> Result<(), TxnError> {
    let used = read::<u64>(txn, Table::FileBytes, owner.as_bytes())?.unwrap_or(0);
    match used.checked_add(bytes).filter(|total| *total <= quota_bytes) {
        Some(total) => write(txn, Table::FileBytes, owner.as_bytes(), &total),
        None => Err(StoreError::QuotaExceeded { used, wanted: bytes, max: quota_bytes }.into()),
    }
}

/// Counts bytes no more.
fn give_bytes(txn: &Txn<'_>, owner: UserId, bytes: u64) -> Result<(), TxnError> {
    let used = read::<u64>(txn, Table::FileBytes, owner.as_bytes())?.unwrap_or(0);
    let less = || damaged(Table::FileBytes, owner.as_bytes(), "it is less than what its owner keeps");
    match used.checked_sub(bytes).ok_or_else(less)? {
        0 => txn.remove(Table::FileBytes, owner.as_bytes()).map(drop),
        left => write(txn, Table::FileBytes, owner.as_bytes(), &left),
    }
}
