//! A reading of all rows while others write, batch by batch, in the order of the tables and their keys.
//!
//! No transaction runs while a batch is read. Between two batches they go on, and tell what they change behind the reader. So the rows
//! read, with these changes made to them, are those of one moment: the end of the last batch. Their sums are then compared
//! with those that the last commit left: a row that is missing, doubled, older or newer than it should be shows there.

use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use atelier_domain::store::StoreError;

use super::{Engine, State, from_sled};
use crate::codec::damaged;
use crate::engine::state::Sums;
use crate::schema::Table;

/// Rows of a batch.
const BATCH_ROWS_MAX: usize = 256;
/// Bytes of a batch.
const BATCH_BYTES_MAX: usize = 512 * 1024;
/// How long a batch may keep transactions waiting.
const BATCH_TIME_MAX: Duration = Duration::from_millis(2);
/// Bytes of changes that are kept for a reader that is slower than those who write.
const HEARD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A row as it is from now on, or that it is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) table: Table,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

/// Who reads all rows.
pub(crate) trait Walker {
    /// Whether it wants the rows, or nothing but their sums.
    fn wants_rows(&self) -> bool;
    /// Takes rows and changes, to be applied in their order.
    fn take(&mut self, changes: &[Change]) -> Result<(), StoreError>;
    /// Called after each batch, which took this long; `false` ends the reading.
    fn goes_on(&mut self, took: Duration) -> bool;
    /// Called at the moment to which all rows belong: nothing is committed until it returns.
    fn at_end(&mut self, state: &State) -> Result<(), StoreError>;
}

/// Up to where a reading has come.
#[derive(Debug)]
pub(super) struct Front {
    /// Place of the table that is being read.
    table: usize,
    /// The last key that was read of it.
    key: Option<Vec<u8>>,
    pub(super) wants_rows: bool,
}

impl Front {
    /// Whether a row's place was read already.
    pub(super) fn is_past(&self, table: Table, key: &[u8]) -> bool {
        match table.index().cmp(&self.table) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => self.key.as_deref().is_some_and(|last| key <= last),
            std::cmp::Ordering::Greater => false,
        }
    }
}

/// What a transaction changed behind the reader.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) sums: Sums,
    pub(super) changes: Vec<Change>,
}

#[derive(Debug, Default)]
struct Heard {
    sums: Sums,
    /// With the numbers of their commits.
    changes: Vec<(u64, Vec<Change>)>,
    bytes: usize,
    is_too_much: bool,
}

/// What a reader and those who write share.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// `None` while nobody reads. Held by transactions from before they begin until they have told.
    front: RwLock<Option<Front>>,
    heard: Mutex<Heard>,
    /// One reader at a time.
    turn: Mutex<()>,
    waiting: AtomicUsize,
}

impl Walk {
    /// To be held for the whole of a transaction.
    pub(super) fn enter(&self) -> RwLockReadGuard<'_, Option<Front>> {
        self.front.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a commit changed, told before its hold on [`Walk::enter`] ends.
    pub(super) fn hear(&self, commit: u64, told: Told) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.sums.merge(&told.sums);
        if told.changes.is_empty() || heard.is_too_much {
            return;
        }
        let bytes = |change: &Change| change.key.len() + change.value.as_ref().map_or(0, Vec::len) + 64;
        heard.bytes += told.changes.iter().map(bytes).sum::<usize>();
        if heard.bytes > HEARD_BYTES_MAX {
            heard.is_too_much = true;
            heard.changes = Vec::new();
        } else {
            heard.changes.push((commit, told.changes));
        }
    }

    /// Whether another reader waits for its turn.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn set(&self, front: Option<Front>) {
        *self.front.write().unwrap_or_else(PoisonError::into_inner) = front;
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Heard::default();
    }
}

/// Nobody reads any more, however the reading ended.
struct Ended<'a>(&'a Walk);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

impl Engine {
    /// Lets `walker` read all rows; gives the state that they belong to, or `None` if it ended before.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the rows are not those that were committed, and the walker's own.
    pub(crate) fn walk(&self, walker: &mut dyn Walker) -> Result<Option<State>, StoreError> {
        self.walk.waiting.fetch_add(1, Ordering::Relaxed);
        let turn = self.walk.turn.lock();
        self.walk.waiting.fetch_sub(1, Ordering::Relaxed);
        let _turn = turn.unwrap_or_else(PoisonError::into_inner);
        self.walk.set(Some(Front { table: 0, key: None, wants_rows: walker.wants_rows() }));
        let _ended = Ended(&self.walk);
        let mut found = Sums::default();
        let mut batch = Vec::new();
        self.checks.begin();
        loop {
            let began = Instant::now();
            let end = self.guarded(|| self.batch(walker, &mut found, &mut batch))?;
            walker.take(&batch)?;
            batch.clear();
            if end.is_some() {
                return Ok(end);
            }
            if !walker.goes_on(began.elapsed()) {
                return Ok(None);
            }
        }
    }

    /// Reads a batch; gives the state once there is no row left.
    fn batch(
        &self,
        walker: &mut dyn Walker,
        found: &mut Sums,
        batch: &mut Vec<Change>,
    ) -> Result<Option<State>, StoreError> {
        // Nobody commits while this is held.
        let mut front = self.walk.front.write().unwrap_or_else(PoisonError::into_inner);
        let Some(front) = front.as_mut() else { return Err(no_reading()) };
        let mut heard = std::mem::take(&mut *self.walk.heard.lock().unwrap_or_else(PoisonError::into_inner));
        if heard.is_too_much {
            return Err(StoreError::Unavailable(format!(
                "more than {HEARD_BYTES_MAX} bytes were changed while a part of the rows was being written out: \
                 try again where that is faster, or when less is going on"
            )));
        }
        found.merge(&heard.sums);
        heard.changes.sort_by_key(|(commit, _)| *commit);
        batch.extend(heard.changes.into_iter().flat_map(|(_, changes)| changes));
        self.read_rows(front, found, batch)?;
        if front.table < Table::ALL.len() {
            return Ok(None);
        }
        let state = self.state()?;
        if let Some(what) = found.differences(&state.sums) {
            return Err(StoreError::Damaged(format!("{what}: restore the newest backup")));
        }
        walker.at_end(&state)?;
        Ok(Some(state))
    }

    fn read_rows(
        &self,
        front: &mut Front,
        found: &mut Sums,
        batch: &mut Vec<Change>,
    ) -> Result<(), StoreError> {
        let (began, mut rows, mut bytes) = (Instant::now(), 0, 0);
        while let Some(&table) = Table::ALL.get(front.table) {
            let from = front.key.take().map_or(Bound::Unbounded, Bound::Excluded);
            let tree = self.tree(table);
            for row in tree.range::<Vec<u8>, _>((from, Bound::Unbounded)) {
                let (key, value) = row.map_err(from_sled)?;
                // A look-up takes another way through the index than a scan: both must lead here. It also makes sled look after its
                // cache, which it does only after thousands of accesses.
                if tree.get(&key).map_err(from_sled)?.as_ref() != Some(&value) {
                    return Err(damaged(table, &key, "the index does not lead to it"));
                }
                found.add(table, &key, &value);
                rows += 1;
                bytes += key.len() + value.len();
                if front.wants_rows {
                    batch.push(Change { table, key: key.to_vec(), value: Some(value.to_vec()) });
                }
                if rows >= BATCH_ROWS_MAX || bytes >= BATCH_BYTES_MAX || began.elapsed() >= BATCH_TIME_MAX {
                    front.key = Some(key.to_vec());
                    self.checks.add(rows as u64);
                    return Ok(());
                }
            }
            (front.table, front.key) = (front.table + 1, None);
        }
        self.checks.add(rows as u64);
        Ok(())
    }
}

fn no_reading() -> StoreError {
    StoreError::Unavailable("nobody reads the rows".to_owned())
}
