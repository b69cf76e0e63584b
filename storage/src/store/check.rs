//! Whether the store holds what was committed.

use std::io;
use std::ops::Bound;
use std::path::Path;
use std::time::Duration;

use atelier_domain::blob::BlobId;
use atelier_domain::disk::DiskSpace as _;
use atelier_domain::store::{JobStore as _, StoreError};

use super::jobs::open;
use super::{Opening, Store, ledger};
use crate::Disk;
use crate::codec::damaged;
use crate::engine::{Check, State, Walker};
use crate::schema::Table;

/// What is known of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub opening: Opening,
    /// How the last reading of all rows ended.
    pub check: Check,
    /// Rows that the reading under way, or the last, has read.
    pub rows_read: u64,
    /// Rows that there should be; `None` once the store serves nothing any more.
    pub rows: Option<u64>,
}

impl Store {
    /// What is known of it, without reading it.
    pub fn health(&self) -> Health {
        let (check, rows_read) = self.engine().check();
        Health { opening: self.opening, check, rows_read, rows: self.engine().rows().ok() }
    }

    /// Whether anything can be written: no write has failed, nothing is damaged, and the disk has room for it.
    ///
    /// # Errors
    /// Why not.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        self.engine().check_writable()
    }

    /// Reads every row and compares with what was committed; gives their number. Others can use the store meanwhile, but it is as fast as
    /// it goes.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] says what is. The store then serves nothing any more, and the next opening reads all rows first.
    pub fn verify(&self) -> Result<u64, StoreError> {
        self.engine().verify()
    }

    /// The same, in small batches: after each, `rest` is told how long it took, rests, and says whether to go on. `None` if that ended
    /// it, or a backup did, which reads all rows itself.
    ///
    /// # Errors
    /// As [`Store::verify`].
    pub fn verify_gently(&self, rest: &mut dyn FnMut(Duration) -> bool) -> Result<Option<u64>, StoreError> {
        self.engine().verify_gently(rest)
    }

    /// Bytes that are left where it lies, for this user.
    ///
    /// # Errors
    /// The file system does not say.
    pub fn free_bytes(&self) -> io::Result<u64> {
        Disk::of(&self.path).free_bytes()
    }

    /// Lets `walker` read all rows; `None` if it ended before. This checks them, too.
    pub(crate) fn walk(&self, walker: &mut dyn Walker) -> Result<Option<State>, StoreError> {
        self.engine().walk_through(walker)
    }

    /// Live calls that are not in the books, as the journal of a store with the rows of this moment: its file's name, and the file.
    pub(crate) fn journal_tail(&self) -> Result<(String, Vec<u8>), StoreError> {
        self.journal.tail(ledger::journal_place(self.engine())?)
    }

    /// Its folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The version of its schema.
    ///
    /// # Errors
    /// It is damaged, or the disk is failing.
    pub fn schema_version(&self) -> Result<u32, StoreError> {
        self.engine().schema()
    }

    /// The blobs that rows name, in the order of their ids, behind `after`: `limit` rows' worth at most, none only at the end.
    ///
    /// # Errors
    /// The store is damaged, or the disk is failing.
    pub fn named_blobs(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        let from = match after {
            // Whatever names it lies before the first key that is longer than any and begins with it.
            Some(id) => Bound::Excluded([&id.0[..], &[0xff; 18]].concat()),
            None => Bound::Unbounded,
        };
        let mut ids = Vec::new();
        for key in self.engine().keys(Table::BlobNames, (from, Bound::Unbounded), limit.max(1))? {
            let id =
                key.first_chunk().ok_or_else(|| damaged(Table::BlobNames, &key, "its key is too short"))?;
            if ids.last() != Some(&BlobId(*id)) {
                ids.push(BlobId(*id));
            }
        }
        Ok(ids)
    }

    /// Whatever is open has its job, and that is open.
    pub(super) fn verify_open_jobs(&self) -> Result<(), StoreError> {
        for (id, open) in open::all(self.engine())? {
            let why = match self.job(id)? {
                None => "its job is gone",
                Some(job) if job.state.is_final() => "its job has ended",
                Some(job) if job.wake_at != open.wake_at => "its job is due at another time",
                Some(_) => continue,
            };
            return Err(StoreError::Damaged(format!("the row of open job {id}: {why}")));
        }
        Ok(())
    }
}
