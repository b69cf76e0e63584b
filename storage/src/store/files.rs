use std::ops::Bound;

use atelier_domain::blob::BlobId;
use atelier_domain::file::{FilePage, StoredFile};
use atelier_domain::id::{FileId, UserId};
use atelier_domain::store::{FileStore, StoreError};
use atelier_domain::time::Timestamp;

use super::{Store, blob_names};
use crate::codec::{damaged, decode, encode};
use crate::engine::{Txn, TxnError};
use crate::keys::files::{self as keys, Namer};
use crate::schema::Table;

impl FileStore for Store {
    fn create_file(&self, file: &StoredFile, quota_bytes: u64) -> Result<(), StoreError> {
        let row = encode(Table::Files, file)?;
        self.engine().write(|txn| {
            if txn.contains(Table::Files, file.id.as_bytes())? {
                return Err(StoreError::Exists { what: format!("file {}", file.id) }.into());
            }
            let used = bytes_of(txn, file.owner)?;
            let total = used.checked_add(file.size).filter(|total| *total <= quota_bytes);
            let Some(total) = total else {
                let exceeded = StoreError::QuotaExceeded { used, wanted: file.size, max: quota_bytes };
                return Err(exceeded.into());
            };
            set_bytes_of(txn, file.owner, total)?;
            txn.put(Table::Files, file.id.as_bytes(), &row)?;
            for (table, key) in index(file) {
                txn.put(table, &key, &[])?;
            }
            blob_names::add(txn, &file.blob, Namer::File(file.id))
        })?;
        self.engine().make_durable()
    }

    fn file_of(&self, owner: UserId, id: FileId) -> Result<Option<StoredFile>, StoreError> {
        Ok(self.file(id)?.filter(|file| file.owner == owner))
    }

    fn files_of(&self, owner: UserId, page: &FilePage) -> Result<Vec<StoredFile>, StoreError> {
        let (table, prefix) = match page.purpose {
            None => (Table::FilesByOwner, owner.as_bytes().to_vec()),
            Some(purpose) => (Table::FilesByPurpose, keys::owner_and_purpose(owner, purpose).to_vec()),
        };
        let position = page.after.map(|id| Bound::Excluded([&prefix[..], id.as_bytes()].concat()));
        let first = Bound::Included(prefix.clone());
        let last = Bound::Included([&prefix[..], &[0xff; 16]].concat());
        let keys = if page.newest_first {
            self.engine().keys_back(table, (first, position.unwrap_or(last)), page.limit)?
        } else {
            self.engine().keys(table, (position.unwrap_or(first), last), page.limit)?
        };
        let mut files = Vec::with_capacity(keys.len());
        for key in keys {
            let id = match table {
                Table::FilesByOwner => keys::file_of_owned(&key)?,
                _ => keys::file_of_owned_for(&key)?,
            };
            // One that was removed since its key was read is left out.
            files.extend(self.file_of(owner, id)?);
        }
        Ok(files)
    }

    fn remove_file(&self, owner: UserId, id: FileId) -> Result<bool, StoreError> {
        let removed = self.engine().write(|txn| {
            let Some(row) = txn.get(Table::Files, id.as_bytes())? else { return Ok(false) };
            let file: StoredFile = decode(Table::Files, id.as_bytes(), &row)?;
            if file.owner != owner {
                return Ok(false);
            }
            let left = bytes_of(txn, owner)?.checked_sub(file.size);
            let left = left.ok_or_else(|| {
                damaged(Table::FileBytes, owner.as_bytes(), "it is less than a file of its owner")
            })?;
            set_bytes_of(txn, owner, left)?;
            txn.remove(Table::Files, id.as_bytes())?;
            for (table, key) in index(&file) {
                txn.remove(table, &key)?;
            }
            blob_names::remove(txn, &file.blob, Namer::File(id))?;
            Ok(true)
        })?;
        self.engine().make_durable()?;
        Ok(removed)
    }

    fn file_bytes_of(&self, owner: UserId) -> Result<u64, StoreError> {
        let key = owner.as_bytes();
        let row = self.engine().get(Table::FileBytes, key)?;
        row.map_or(Ok(0), |row| decode(Table::FileBytes, key, &row))
    }

    fn expired_files(&self, now: Timestamp, limit: usize) -> Result<Vec<StoredFile>, StoreError> {
        let last = keys::ending(now, &[0xff; 16]).to_vec();
        let range = (Bound::Unbounded, Bound::Included(last));
        let keys = self.engine().keys(Table::FilesExpiring, range, limit)?;
        let mut files = Vec::with_capacity(keys.len());
        for key in keys {
            let id = keys::id_of_ending(Table::FilesExpiring, &key)?;
            files.extend(self.file(FileId::from_bytes(id))?);
        }
        Ok(files)
    }

    fn is_blob_named(&self, id: &BlobId) -> Result<bool, StoreError> {
        self.is_named(id)
    }
}

impl Store {
    fn file(&self, id: FileId) -> Result<Option<StoredFile>, StoreError> {
        let key = id.as_bytes();
        self.engine().get(Table::Files, key)?.map(|row| decode(Table::Files, key, &row)).transpose()
    }
}

/// The keys that lead to a file, beside its own.
fn index(file: &StoredFile) -> Vec<(Table, Vec<u8>)> {
    let mut all = vec![
        (Table::FilesByOwner, keys::owned_file(file.owner, file.id).to_vec()),
        (Table::FilesByPurpose, keys::owned_file_for(file.owner, file.purpose, file.id).to_vec()),
    ];
    let end = file.expires.map(|end| keys::ending(end, file.id.as_bytes()).to_vec());
    all.extend(end.map(|key| (Table::FilesExpiring, key)));
    all
}

fn bytes_of(txn: &Txn<'_>, owner: UserId) -> Result<u64, TxnError> {
    let key = owner.as_bytes();
    let row = txn.get(Table::FileBytes, key)?;
    Ok(row.map_or(Ok(0), |row| decode(Table::FileBytes, key, &row))?)
}

fn set_bytes_of(txn: &Txn<'_>, owner: UserId, bytes: u64) -> Result<(), TxnError> {
    match bytes {
        0 => txn.remove(Table::FileBytes, owner.as_bytes()).map(|_| ()),
        _ => txn.put(Table::FileBytes, owner.as_bytes(), &encode(Table::FileBytes, &bytes)?),
    }
}
