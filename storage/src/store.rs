//! The database behind the ports of accounts, plugins, jobs, their events, webhooks, callbacks and claims, and the ledger.

mod accounts;
mod audit;
mod batches;
mod blob_names;
mod callbacks;
mod check;
mod claims;
mod conversations;
mod credentials;
mod deletions;
mod deliveries;
mod events;
#[cfg(test)]
mod exported;
mod files;
mod jobs;
mod ledger;
mod links;
mod mail;
mod plugins;
mod provider_keys;
mod renditions;
mod responses;
mod rows;
mod sealed;
mod templates;
#[cfg(test)]
mod unreadable;
mod webhooks;

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use atelier_domain::store::{EventWatcher, Noted, StoreError};

use crate::engine::{Engine, is_in_doubt, unavailable};
use crate::journal::{Journal, JournalLimits};
use crate::mark::{Mark, MarkState, Reached};
use crate::seal::SealState;
use crate::{folder, schema, seal};

pub(crate) use blob_names::name_blobs;
pub use check::Health;
pub(crate) use jobs::gather_job_rows;

/// How a store was found when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// There was none.
    Created,
    /// It had been shut down cleanly, and its files are those of then.
    Clean,
    /// It had not been shut down. No commit that was made durable is missing.
    Recovered {
        /// How many rows it should have.
        rows: u64,
    },
}

/// The database. Dropping it shuts it down cleanly, which takes a flush and the reading of what was written since it was opened.
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
    /// The time that this takes goes by what is open and by what was written since the last clean shutdown, not by what there is: see
    /// [`Store::verify_gently`] for the rest.
    ///
    /// # Errors
    /// - [`StoreError::Damaged`] when the files were changed from outside or have lost a commit.
    /// - [`StoreError::Unavailable`] when another process has it open, it was written by a newer program, or the disk
    ///   fails.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let store = Self::open_as_it_is(path)?;
        schema::migrate(store.engine())?;
        store.verify_open_jobs()?;
        store.settle_live_calls()?;
        Ok(store)
    }

    /// Opens the store in a folder and leaves its schema as it is: to look at it or to copy it, no more.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_as_it_is(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let lock = folder::lock(path).map_err(unavailable)?;
        let database = path.join("db");
        let reached = find_mark(path, &database)?;
        let sealed = seal::check(path, &database).map_err(unavailable)?;
        if let SealState::Differs(what) = &sealed {
            return Err(StoreError::Damaged(format!(
                "the files in {} were changed since the store was shut down ({what}): restore the newest backup",
                database.display()
            )));
        }
        let in_doubt = is_in_doubt(path) || is_shorter(&database, reached).map_err(unavailable)?;
        // Only the next clean shutdown makes another.
        seal::break_open(path).map_err(unavailable)?;
        let engine = Engine::open(&database, |commit| open_mark(path, reached, commit))?;
        if let SealState::Intact { commit } = sealed
            && engine.commit() != commit
        {
            return Err(StoreError::Damaged(format!(
                "the last commit in the database is {}, yet it was shut down after {commit}: restore the newest backup",
                engine.commit()
            )));
        }
        if in_doubt {
            engine.verify()?;
        } else {
            engine.verify_open_work()?;
        }
        let opening = match (sealed, reached) {
            (SealState::Intact { .. }, _) => Opening::Clean,
            (_, None) => Opening::Created,
            (_, Some(_)) => Opening::Recovered { rows: engine.rows()? },
        };
        for folder in [&database, path] {
            folder::sync(folder).map_err(unavailable)?;
        }
        let watcher = OnceLock::new();
        let journal = Journal::open(path, ledger::journal_place(&engine)?, JournalLimits::default())?;
        let path = path.to_owned();
        Ok(Self { engine: Some(engine), journal, path, opening, watcher, _lock: lock })
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
        // Without a seal the next opening knows less of what it should find.
        if let Ok(commit) = engine.close() {
            let _sealed_or_not = seal::put(&self.path, &self.path.join("db"), commit);
        }
    }
}

/// The high-water mark, `None` for a store that is yet to be created.
fn find_mark(path: &Path, database: &Path) -> Result<Option<Reached>, StoreError> {
    let exists = database.try_exists().map_err(unavailable)?;
    match Mark::read(path).map_err(unavailable)? {
        // The mark is written first, so a crash in between leaves a mark of zero.
        MarkState::At(Reached { commit: 0, .. }) if !exists => Ok(None),
        MarkState::Absent if !exists => {
            Mark::open(path, Reached::default()).map_err(unavailable)?;
            Ok(None)
        }
        MarkState::At(reached) if exists => Ok(Some(reached)),
        MarkState::At(Reached { commit, .. }) => Err(StoreError::Damaged(format!(
            "{} is gone, and {commit} commits with it: restore the newest backup",
            database.display()
        ))),
        MarkState::Absent | MarkState::Unreadable => Err(StoreError::Damaged(format!(
            "the file `mark` in {} is missing or unreadable, so that lost commits would go unnoticed: restore the newest backup",
            path.display()
        ))),
    }
}

/// Whether the database's file is shorter than when it was last flushed. The engine cuts it itself at times, so that this is no damage
/// yet, but reason enough to read all of it.
fn is_shorter(database: &Path, reached: Option<Reached>) -> io::Result<bool> {
    let Some(Reached { length, .. }) = reached else { return Ok(false) };
    match fs::metadata(database.join("db")) {
        Ok(facts) => Ok(facts.len() < length),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(length > 0),
        Err(error) => Err(error),
    }
}

/// Compares the database's last commit with its mark, then makes the mark that of the database.
fn open_mark(path: &Path, reached: Option<Reached>, commit: u64) -> Result<Mark, StoreError> {
    let reached = reached.unwrap_or_default();
    if commit < reached.commit {
        return Err(StoreError::Damaged(format!(
            "the last commit in the database is {commit}, yet {} were made durable: restore the newest backup",
            reached.commit
        )));
    }
    // Not raised here: what the database has beyond the mark is not known to be durable before the next flush.
    Mark::open(path, reached).map_err(unavailable)
}
