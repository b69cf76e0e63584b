use std::ops::Bound;

use atelier_domain::blob::BlobId;
use atelier_domain::file::{FilePage, FileQuota, FileUse, LeavingFile, StoredFile};
use atelier_domain::id::{FileId, UserId};
use atelier_domain::rendition::{Rendition, RenditionKind};
use atelier_domain::store::{FileStore, Overdue, StoreError, SweepPage};
use atelier_domain::time::Timestamp;

use super::deletions::refuse_deleted;
use super::rows::{read, write};
use super::{Store, blob_names};
use crate::codec::{damaged, decode, encode};
use crate::engine::{Txn, TxnError};
use crate::keys::files::{self as keys, Namer};
use crate::schema::Table;

impl FileStore for Store {
    fn create_file(&self, file: &StoredFile, quota: &FileQuota) -> Result<(), StoreError> {
        let row = encode(Table::Files, file)?;
        self.engine().write(|txn| {
            if txn.contains(Table::Files, file.id.as_bytes())? {
                return Err(StoreError::Exists { what: format!("file {}", file.id) }.into());
            }
            refuse_deleted(txn, file.owner)?;
            let used = use_of(txn, file.owner)?;
            let after = with_another(&used, file.size, quota)?;
            set_use_of(txn, file.owner, &after)?;
            txn.put(Table::Files, file.id.as_bytes(), &row)?;
            for (table, key) in index(file) {
                txn.put_key(table, &key)?;
            }
            blob_names::add(txn, &file.blob, Namer::File(file.id))
        })
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

    fn remove_file(&self, owner: UserId, id: FileId, now: Timestamp) -> Result<bool, StoreError> {
        self.engine().write(|txn| {
            let Some(file) = read::<StoredFile>(txn, Table::Files, id.as_bytes())? else { return Ok(false) };
            if file.owner != owner {
                return Ok(false);
            }
            let used = use_of(txn, owner)?;
            let bytes = used.bytes.checked_sub(file.size).ok_or_else(|| {
                damaged(Table::FileBytes, owner.as_bytes(), "it is less than a file of its owner")
            })?;
            let after = FileUse {
                bytes,
                files: used.files.saturating_sub(1),
                leaving_bytes: used.leaving_bytes.saturating_add(file.size),
                leaving_files: used.leaving_files.saturating_add(1),
            };
            set_use_of(txn, owner, &after)?;
            let leaving = LeavingFile { id, owner, blob: file.blob, size: file.size, removed: now };
            write(txn, Table::FilesLeaving, &keys::ending(now, id.as_bytes()), &leaving)?;
            unlist(txn, &file)?;
            Ok(true)
        })
    }

    fn file_use_of(&self, owner: UserId) -> Result<FileUse, StoreError> {
        let bytes = self.row::<u64>(Table::FileBytes, owner.as_bytes())?.unwrap_or(0);
        let used = self.row::<FileUse>(Table::FileUses, owner.as_bytes())?.unwrap_or_default();
        Ok(FileUse { bytes, ..used })
    }

    fn expired_files(&self, now: Timestamp, page: &SweepPage) -> Result<Overdue<StoredFile>, StoreError> {
        self.swept(Table::FilesExpiring, now, page, |key| {
            self.file(FileId::from_bytes(keys::id_of_ending(Table::FilesExpiring, key)?))
        })
    }

    fn leaving_files(&self, before: Timestamp, page: &SweepPage) -> Result<Overdue<LeavingFile>, StoreError> {
        let last = Timestamp(before.0.saturating_sub(1));
        self.swept(Table::FilesLeaving, last, page, |key| self.row(Table::FilesLeaving, key))
    }

    fn forget_leaving(&self, file: &LeavingFile) -> Result<bool, StoreError> {
        self.engine().write_soon(|txn| {
            if !txn.remove(Table::FilesLeaving, &keys::ending(file.removed, file.id.as_bytes()))? {
                return Ok(false);
            }
            let used = use_of(txn, file.owner)?;
            let after = FileUse {
                leaving_bytes: used.leaving_bytes.saturating_sub(file.size),
                leaving_files: used.leaving_files.saturating_sub(1),
                ..used
            };
            set_use_of(txn, file.owner, &after)?;
            Ok(true)
        })
    }

    fn is_blob_named(&self, id: &BlobId) -> Result<bool, StoreError> {
        self.is_named(id)
    }

    fn rendition(&self, source: &BlobId, kind: RenditionKind) -> Result<Option<Rendition>, StoreError> {
        self.rendition_of(source, kind)
    }

    fn put_rendition(
        &self,
        source: &BlobId,
        kind: RenditionKind,
        rendition: &Rendition,
    ) -> Result<(), StoreError> {
        self.keep_rendition(source, kind, rendition)
    }

    fn forget_renditions(&self, source: &BlobId) -> Result<(), StoreError> {
        self.drop_renditions(source)
    }
}

impl Store {
    fn file(&self, id: FileId) -> Result<Option<StoredFile>, StoreError> {
        let key = id.as_bytes();
        self.engine().get(Table::Files, key)?.map(|row| decode(Table::Files, key, &row)).transpose()
    }
}

/// Removes the file of an owner who is deleted: nothing counts it any more. `false` if they have none such.
pub(super) fn erase(txn: &Txn<'_>, owner: UserId, id: FileId) -> Result<bool, TxnError> {
    let found: Option<StoredFile> = read(txn, Table::Files, id.as_bytes())?;
    let Some(file) = found.filter(|file| file.owner == owner) else { return Ok(false) };
    let used = use_of(txn, owner)?;
    let (bytes, files) = (used.bytes.saturating_sub(file.size), used.files.saturating_sub(1));
    set_use_of(txn, owner, &FileUse { bytes, files, ..used })?;
    unlist(txn, &file)?;
    Ok(true)
}

/// Removes a file's row and whatever leads to it. Its content is named by it no more.
fn unlist(txn: &Txn<'_>, file: &StoredFile) -> Result<(), TxnError> {
    txn.remove(Table::Files, file.id.as_bytes())?;
    for (table, key) in index(file) {
        txn.remove(table, &key)?;
    }
    blob_names::remove(txn, &file.blob, Namer::File(file.id))
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

fn use_of(txn: &Txn<'_>, owner: UserId) -> Result<FileUse, TxnError> {
    let bytes = read(txn, Table::FileBytes, owner.as_bytes())?.unwrap_or(0);
    let used = read::<FileUse>(txn, Table::FileUses, owner.as_bytes())?.unwrap_or_default();
    Ok(FileUse { bytes, ..used })
}

fn set_use_of(txn: &Txn<'_>, owner: UserId, used: &FileUse) -> Result<(), TxnError> {
    let key = owner.as_bytes();
    match used.bytes {
        0 => drop(txn.remove(Table::FileBytes, key)?),
        bytes => write(txn, Table::FileBytes, key, &bytes)?,
    }
    // The bytes are told by the other table alone.
    let rest = FileUse { bytes: 0, ..*used };
    if rest == FileUse::default() {
        txn.remove(Table::FileUses, key).map(drop)
    } else {
        write(txn, Table::FileUses, key, &rest)
    }
}

/// What an owner has with another file of that size.
fn with_another(used: &FileUse, size: u64, quota: &FileQuota) -> Result<FileUse, StoreError> {
    let exceeded = || StoreError::QuotaExceeded { used: used.bytes, wanted: size, max: quota.bytes };
    let bytes = used.bytes.checked_add(size).filter(|bytes| *bytes <= quota.bytes).ok_or_else(exceeded)?;
    if used.files >= quota.files {
        return Err(StoreError::TooManyFiles { max: quota.files });
    }
    let files = used.files + 1;
    let is_over = |kept: u64, leaving: u64, max: u64| {
        leaving > 0 && kept.saturating_add(leaving) > max.saturating_mul(FileQuota::WITH_LEAVING)
    };
    if is_over(bytes, used.leaving_bytes, quota.bytes) || is_over(files, used.leaving_files, quota.files) {
        return Err(StoreError::StillLeaving { bytes: used.leaving_bytes, files: used.leaving_files });
    }
    Ok(FileUse { bytes, files, ..*used })
}
