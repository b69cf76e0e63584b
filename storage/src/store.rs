//! The database behind the ports of accounts, plugins, jobs, their events, webhooks, callbacks and claims, and the ledger.

mod accounts;
mod blob_names;
mod callbacks;
mod claims;
mod deliveries;
mod events;
mod files;
mod jobs;
mod ledger;
mod links;
mod plugins;
mod rows;
#[cfg(test)]
mod unreadable;
mod webhooks;

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use atelier_domain::store::{EventWatcher, Noted, StoreError};

use crate::engine::{Engine, State, unavailable};
use crate::journal::{Journal, JournalLimits};
use crate::mark::{Mark, MarkState};
use crate::seal::SealState;
use crate::{folder, schema, seal};

pub(crate) use blob_names::name_blobs;

/// How a store was found when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// There was none.
    Created,
    /// It had been shut down cleanly and its files are unchanged since.
    Clean,
    /// It had not been shut down: all its rows were read and agree with what was committed.
    Recovered {
        /// How many there are.
        rows: u64,
    },
}

/// The database. Dropping it shuts it down cleanly, which takes a flush and one reading of its files.
pub struct Store {
    /// Taken when dropped.
    engine: Option<Engine>,
    journal: Journal,
    path: PathBuf,
    opening: Opening,
    /// Told of events once they are durable.
    watcher: OnceLock<Arc<dyn EventWatcher>>,
    /// Keeps other processes out; released last.
    _lock: File,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .field("opening", &self.opening)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in a folder, creating both if need be; migrates an older one.
    ///
    /// # Errors
    /// - [`StoreError::Damaged`] when the files were changed from outside or have lost a commit.
    /// - [`StoreError::Unavailable`] when another process has it open, it was written by a newer program, or the disk
    ///   fails.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let lock = folder::lock(path).map_err(unavailable)?;
        let database = path.join("db");
        let mark = find_mark(path, &database)?;
        let sealed = seal::check(path, &database).map_err(unavailable)?;
        if sealed == SealState::Differs {
            return Err(StoreError::Damaged(format!(
                "the files in {} were changed since the store was shut down: restore the newest backup",
                database.display()
            )));
        }
        // Without its seal the store is checked row by row: that stays so until the next clean shutdown.
        seal::break_open(path).map_err(unavailable)?;
        let engine = Engine::open(&database, |state| open_mark(path, mark, state))?;
        schema::check(&engine)?;
        let opening = match (sealed, mark) {
            (SealState::Intact, _) => Opening::Clean,
            (_, None) => Opening::Created,
            (_, Some(_)) => Opening::Recovered { rows: engine.verify()? },
        };
        schema::migrate(&engine)?;
        for folder in [&database, path] {
            folder::sync(folder).map_err(unavailable)?;
        }
        let watcher = OnceLock::new();
        let journal = Journal::open(path, ledger::journal_place(&engine)?, JournalLimits::default())?;
        let path = path.to_owned();
        let store = Self { engine: Some(engine), journal, path, opening, watcher, _lock: lock };
        store.settle_live_calls()?;
        Ok(store)
    }

    /// How it was found.
    pub fn opening(&self) -> Opening {
        self.opening
    }

    /// Tells of an event that is durable.
    fn tell(&self, noted: Option<Noted>) {
        if let (Some(noted), Some(watcher)) = (noted, self.watcher.get()) {
            watcher.stored(noted);
        }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("taken by drop alone")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let Some(engine) = self.engine.take() else { return };
        // Without a seal the next opening reads all rows instead: slower, not less safe.
        if engine.close().is_ok() {
            let _sealed_or_checked_later = seal::put(&self.path, &self.path.join("db"));
        }
    }
}

/// The high-water mark, `None` for a store that is yet to be created.
fn find_mark(path: &Path, database: &Path) -> Result<Option<u64>, StoreError> {
    let exists = database.try_exists().map_err(unavailable)?;
    match Mark::read(path).map_err(unavailable)? {
        // The mark is written first, so a crash in between leaves a mark of zero.
        MarkState::At(0) if !exists => Ok(None),
        MarkState::Absent if !exists => {
            Mark::open(path, 0).map_err(unavailable)?;
            Ok(None)
        }
        MarkState::At(number) if exists => Ok(Some(number)),
        MarkState::At(number) => Err(StoreError::Damaged(format!(
            "{} is gone, and {number} commits with it: restore the newest backup",
            database.display()
        ))),
        MarkState::Absent | MarkState::Unreadable => Err(StoreError::Damaged(format!(
            "the file `mark` in {} is missing or unreadable, so that lost commits would go unnoticed: restore the newest backup",
            path.display()
        ))),
    }
}

/// Compares the database with its mark, then makes the mark that of the database.
fn open_mark(path: &Path, mark: Option<u64>, state: &State) -> Result<Mark, StoreError> {
    let mark = mark.unwrap_or(0);
    if state.commit < mark {
        return Err(StoreError::Damaged(format!(
            "the last commit in the database is {}, yet {mark} were made durable: restore the newest backup",
            state.commit
        )));
    }
    // Not raised here: what the database has beyond the mark is not known to be durable before the next flush.
    Mark::open(path, mark).map_err(unavailable)
}
