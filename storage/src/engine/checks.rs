//! What is known of the rows since the database was opened: how much of them was read, and how that ended.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use atelier_domain::store::StoreError;

use super::state::Sums;
use super::walk::{Change, Walker};
use super::{Engine, State, from_sled};
use crate::folder;
use crate::schema::{self, Table};

/// A file beside the database that tells what was found: the next opening then reads every row before anything is given out.
const NAME: &str = "damage";

/// How the last reading of all rows went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Not all rows were read since the start.
    Pending,
    /// All rows were read, and were those that were committed.
    Whole {
        /// How many there were.
        rows: u64,
        at: SystemTime,
    },
    /// What is damaged: nothing is served any more.
    Damaged(String),
}

#[derive(Debug)]
pub(super) struct Checks {
    file: PathBuf,
    /// Rows read by the reading that runs, or by the last.
    read: AtomicU64,
    last: Mutex<Check>,
}

impl Checks {
    /// For the database in a folder of `parent`.
    pub(super) fn new(parent: &Path) -> Self {
        Self { file: parent.join(NAME), read: AtomicU64::new(0), last: Mutex::new(Check::Pending) }
    }

    pub(super) fn begin(&self) {
        self.read.store(0, Ordering::Relaxed);
    }

    pub(super) fn add(&self, rows: u64) {
        self.read.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    pub(super) fn last(&self) -> Check {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what was found, also for the next start.
    pub(super) fn found_damage(&self, error: &StoreError) {
        let text = error.to_string();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Check::Damaged(text.clone());
        if let (Some(folder), Some(name)) = (self.file.parent(), self.file.file_name()) {
            // Should it not be written, the next start reads all rows after it and not before.
            let _kept = folder::replace(folder, &name.to_string_lossy(), text.as_bytes());
        }
    }

    fn found_whole(&self, state: &State) {
        let check = Check::Whole { rows: state.sums.rows(), at: SystemTime::now() };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = check;
        // There is none but after damage, or what was taken for it.
        let _gone = std::fs::remove_file(&self.file);
    }
}

/// Whether damage was found before in the store of a folder.
pub(crate) fn is_in_doubt(parent: &Path) -> bool {
    parent.join(NAME).exists()
}

/// A reading for the sums alone.
struct Pass<'a> {
    engine: &'a Engine,
    /// `None`: as fast as it goes, to the end.
    rest: Option<&'a mut dyn FnMut(Duration) -> bool>,
}

impl Walker for Pass<'_> {
    fn wants_rows(&self) -> bool {
        false
    }
    fn take(&mut self, _: &[Change]) -> Result<(), StoreError> {
        Ok(())
    }
    fn goes_on(&mut self, took: Duration) -> bool {
        match &mut self.rest {
            // Whoever wants all rows now checks them too.
            Some(rest) => !self.engine.walk.is_wanted() && rest(took),
            None => true,
        }
    }
    fn at_end(&mut self, _: &State) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Engine {
    /// Reads every row and compares with the sums of the last commit; gives the number of rows.
    pub(crate) fn verify(&self) -> Result<u64, StoreError> {
        let state = self.walk_through(&mut Pass { engine: self, rest: None })?;
        Ok(state.map_or(0, |state| state.sums.rows()))
    }

    /// The same, while others have the store: after each batch `rest` is told how long it took, and says whether to go on. `None` if that
    /// ended it, or somebody else who wants all rows did.
    pub(crate) fn verify_gently(
        &self,
        rest: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Option<u64>, StoreError> {
        let state = self.walk_through(&mut Pass { engine: self, rest: Some(rest) })?;
        Ok(state.map(|state| state.sums.rows()))
    }

    /// Like [`Engine::walk`], and keeps how it ended.
    pub(crate) fn walk_through(&self, walker: &mut dyn Walker) -> Result<Option<State>, StoreError> {
        let state = self.walk(walker)?;
        if let Some(state) = &state {
            self.checks.found_whole(state);
        }
        Ok(state)
    }

    /// Reads the tables that are as large as what is open, and compares with their sums.
    pub(crate) fn verify_open_work(&self) -> Result<(), StoreError> {
        let committed = self.state()?.sums.group(schema::OPEN_WORK);
        let found = self.guarded(|| self.sums_of(&Table::OPEN_WORK))?.group(schema::OPEN_WORK);
        if found == committed {
            return Ok(());
        }
        let error = StoreError::Damaged(format!(
            "open jobs, holds, allowances and plugins are {} rows where {} were committed, or their contents differ: restore the newest backup",
            found.rows, committed.rows
        ));
        self.checks.found_damage(&error);
        Err(error)
    }

    /// How the last reading of all rows ended, and how many were read since it began.
    pub(crate) fn check(&self) -> (Check, u64) {
        (self.checks.last(), self.checks.read())
    }

    pub(super) fn sums_of(&self, tables: &[Table]) -> Result<Sums, StoreError> {
        let mut sums = Sums::default();
        for table in tables {
            for row in self.tree(*table).iter() {
                let (key, value) = row.map_err(from_sled)?;
                sums.add(*table, &key, &value);
            }
        }
        Ok(sums)
    }
}
