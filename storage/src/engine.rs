//! The only module that knows sled 0.34. It adds what sled leaves open:
//!
//! - Values over [`INLINE_BYTES_MAX`] are cut into chunks, because sled moves larger pages to files that it never
//!   syncs.
//! - Every commit updates one row with its own number, the number of rows and checksums over them, in the same
//!   transaction. sled's recovery drops log records that it cannot read without a word; the sums then disagree (`walk`).
//! - A page that was changed on disk fails sled's own checksum when it is read. What sled drops without a word is written since
//!   it was last opened, so that it is opened once more when it is closed: then a clean start has nothing to drop.
//! - A flush ends with an `fsync`: on Linux sled itself only asks for write-back.
//! - sled panics on some damage: every call is guarded, and after a panic the engine stays shut.

mod apply;
mod checks;
mod commits;
mod errors;
mod filling;
mod flushes;
mod layer;
mod pace;
mod state;
mod txn;
mod walk;

use std::fs::{File, OpenOptions};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use atelier_domain::store::StoreError;

use crate::codec::{ROW_BYTES_MAX, damaged};
use crate::folder;
use crate::mark::Mark;
use crate::room::{ROWS_RESERVE_BYTES, Room};
use crate::schema::{self, Table};
use crate::sealing::Cipher;
pub use checks::Check;
use checks::Checks;
pub(crate) use checks::is_in_doubt;
use commits::{Commits, Wish};
pub(crate) use errors::unavailable;
use errors::{from_panic, from_sled, guard};
pub(crate) use filling::Filling;
use flushes::Flushes;
pub(crate) use pace::Pace;
use state::Found;
pub(crate) use state::State;
use txn::Stored;
pub(crate) use txn::{Txn, TxnError};
use walk::Walk;
pub(crate) use walk::{Change, Walker};

/// The most bytes of a value, or of a chunk of one, in a tree. A leaf has 20 rows at most and must stay below a
/// quarter of a segment.
const INLINE_BYTES_MAX: usize = 4096;
/// sled's default; it cannot change once a database exists.
const SEGMENT_BYTES: usize = 512 * 1024;
/// Of sled's page cache, in pages' stored size: the rows that 100,000 jobs change next (`ops/benchmarks.md`).
const CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// How soon recorded writes reach the disk.
const FLUSH_EVERY_MS: u64 = 50;
/// How long sled's background threads may take to let go of the files of a closed database.
const RELEASE_WAIT_MAX: Duration = Duration::from_secs(10);
/// What a commit is taken to write, in bytes, when room is looked for.
const COMMIT_BYTES: u64 = 64 * 1024;
/// How often a reader looks again at a row that is rewritten under its eyes.
const REREADS_MAX: usize = 1000;

const META: &str = "meta";
const STATE_KEY: &[u8] = b"state";

/// An open database.
pub(crate) struct Engine {
    db: sled::Db,
    /// By [`Table::place`], then `meta`.
    trees: Vec<sled::Tree>,
    path: PathBuf,
    /// A handle of our own, to sync.
    file: File,
    mark: Mark,
    /// Number of the last commit.
    committed: AtomicU64,
    /// Number of the last commit that is known to be on disk.
    durable: AtomicU64,
    commits: Commits,
    flushes: Flushes,
    walk: Walk,
    checks: Checks,
    room: Room,
    /// What opens rows that hold secrets, once the store is unsealed.
    cipher: OnceLock<Cipher>,
    /// Why nothing is served any more: damage was found, or sled panicked, whose state in memory can no longer be trusted.
    shut: OnceLock<StoreError>,
}

impl Engine {
    /// Opens or creates the database in a folder that only this process uses. `mark` is given the number of the last commit.
    pub(crate) fn open(
        path: &Path,
        mark: impl FnOnce(u64) -> Result<Mark, StoreError>,
    ) -> Result<Self, StoreError> {
        let (engine, found) = guard(|| {
            let db = config(path).open().map_err(from_sled)?;
            let names = Table::ALL.iter().map(|table| table.name()).chain([META]);
            let trees =
                names.map(|name| db.open_tree(name)).collect::<sled::Result<Vec<_>>>().map_err(from_sled)?;
            let found = read_state(&trees[Table::ALL.len()])?;
            let file = OpenOptions::new().write(true).open(path.join("db")).map_err(unavailable)?;
            let engine = Self {
                mark: mark(found.commit())?,
                db,
                trees,
                path: path.to_owned(),
                file,
                committed: AtomicU64::new(found.commit()),
                durable: AtomicU64::new(0),
                commits: Commits::new(found.commit()),
                flushes: Flushes::default(),
                walk: Walk::default(),
                checks: Checks::new(path.parent().unwrap_or(path)),
                room: Room::new(path, ROWS_RESERVE_BYTES),
                cipher: OnceLock::new(),
                shut: OnceLock::new(),
            };
            Ok((engine, found))
        })?;
        if let Found::Single { schema, commit, all } = found {
            let sums = engine.guarded(|| engine.sums_of(&Table::ALL))?;
            if sums.total() != all {
                return Err(StoreError::Damaged(format!(
                    "{} rows were read where {} were committed, or their contents differ: restore the newest backup",
                    sums.rows(),
                    all.rows
                )));
            }
            engine.put_state(&State { schema, commit, sums })?;
        }
        Ok(engine)
    }

    /// From now on rows that hold secrets can be read and written.
    pub(crate) fn set_cipher(&self, cipher: Cipher) {
        let _the_first_stays = self.cipher.set(cipher);
    }

    /// What opens rows that hold secrets, if the store was unsealed.
    pub(crate) fn cipher(&self) -> Option<&Cipher> {
        self.cipher.get()
    }

    /// The value of a key.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.guarded(|| {
            let mut seen = None;
            for _ in 0..REREADS_MAX {
                let Some(row) = self.tree(table).get(key).map_err(from_sled)? else { return Ok(None) };
                let (generation, length) = match Stored::parse(table, key, &row)? {
                    Stored::Inline(value) => return Ok(Some(value.to_vec())),
                    Stored::Chunked { generation, length } => (generation, length),
                };
                if let Some(value) = self.read_chunks(table, key, generation, length)? {
                    return Ok(Some(value));
                }
                // Missing chunks are damage only if the row that names them stayed.
                if seen == Some(generation) {
                    return Err(damaged(table, key, "a part of it is missing"));
                }
                seen = Some(generation);
            }
            Err(StoreError::Conflict { what: format!("a row of {table}") })
        })
    }

    /// The keys in a range, in their order, `limit` at most.
    pub(crate) fn keys(
        &self,
        table: Table,
        range: (Bound<Vec<u8>>, Bound<Vec<u8>>),
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        self.guarded(|| {
            let keys = self.tree(table).range::<Vec<u8>, _>(range).keys().take(limit);
            keys.map(|key| Ok(key.map_err(from_sled)?.to_vec())).collect()
        })
    }

    /// The keys in a range, in reverse, `limit` at most.
    pub(crate) fn keys_back(
        &self,
        table: Table,
        range: (Bound<Vec<u8>>, Bound<Vec<u8>>),
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        self.guarded(|| {
            let keys = self.tree(table).range::<Vec<u8>, _>(range).keys().rev().take(limit);
            keys.map(|key| Ok(key.map_err(from_sled)?.to_vec())).collect()
        })
    }

    /// How many keys have a prefix.
    pub(crate) fn count(&self, table: Table, prefix: &[u8]) -> Result<usize, StoreError> {
        self.guarded(|| {
            self.tree(table)
                .scan_prefix(prefix)
                .keys()
                .try_fold(0, |n, key| key.map(|_| n + 1).map_err(from_sled))
        })
    }

    /// Runs a transaction and commits it; returns when it is on disk. Those that are made at once share a commit and a flush.
    /// The closure does nothing but read and write through its argument. What it ends with is its caller's matter, also where it calls a
    /// row damaged.
    ///
    /// # Errors
    /// The closure's, and then nothing was written. After a failed commit every later one fails too: what reached the disk is then
    /// unknown.
    pub(crate) fn write<T>(
        &self,
        body: impl FnOnce(&Txn<'_>) -> Result<T, TxnError>,
    ) -> Result<T, StoreError> {
        self.transact(Wish { is_durable: true, gives_way: None }, body)
    }

    /// As [`Engine::write`], but not yet durable when it returns: see [`Engine::make_durable`].
    pub(crate) fn write_soon<T>(
        &self,
        body: impl FnOnce(&Txn<'_>) -> Result<T, TxnError>,
    ) -> Result<T, StoreError> {
        self.transact(Wish::default(), body)
    }

    /// As [`Engine::write_soon`], for what nobody waits for: until then it gives way to other threads, and holds up other writers a few
    /// milliseconds longer for it at most.
    pub(crate) fn write_behind<T>(
        &self,
        gives_way: Option<Instant>,
        body: impl FnOnce(&Txn<'_>) -> Result<T, TxnError>,
    ) -> Result<T, StoreError> {
        self.transact(Wish { is_durable: false, gives_way }, body)
    }

    /// Returns when all commits made before this call are on disk. Concurrent callers share one flush.
    pub(crate) fn make_durable(&self) -> Result<(), StoreError> {
        self.commits.flush(self)
    }

    /// Whether a transaction would be begun now. Waits for none.
    pub(crate) fn check_writable(&self) -> Result<(), StoreError> {
        self.guarded(|| {
            self.room.check(COMMIT_BYTES).map_err(unavailable)?;
            self.commits.check()
        })
    }

    fn transact<T>(
        &self,
        wish: Wish,
        body: impl FnOnce(&Txn<'_>) -> Result<T, TxnError>,
    ) -> Result<T, StoreError> {
        self.guarded(|| {
            self.room.check(COMMIT_BYTES).map_err(unavailable)?;
            let body = |seen: &commits::Seen<'_>| {
                let txn = Txn::new(self, seen, Pace::holding(wish.gives_way));
                body(&txn).map(|value| (value, txn.finish()))
            };
            match self.commits.make(wish, body, self)? {
                Ok(value) => Ok(Ok(value)),
                Err(TxnError::Abort(error)) => Ok(Err(error)),
                Err(TxnError::Engine(error)) => Err(error),
            }
        })
        .flatten()
    }

    /// Returns when all that was read before this call is on disk: a commit can be read before it is, and what others are told must
    /// not be taken back by a crash. Costs one look-up where nothing is outstanding.
    pub(crate) fn settle(&self) -> Result<(), StoreError> {
        if self.is_settled()? { Ok(()) } else { self.make_durable() }
    }

    /// Whether all that can be read is on disk. The commit's own row tells its number to whoever can read what it wrote.
    pub(crate) fn is_settled(&self) -> Result<bool, StoreError> {
        Ok(self.state()?.commit <= self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn schema(&self) -> Result<u32, StoreError> {
        Ok(self.state()?.schema)
    }

    pub(crate) fn set_schema(&self, version: u32) -> Result<(), StoreError> {
        self.write(|txn| {
            txn.set_schema(version);
            Ok(())
        })
    }

    /// The number of the last commit.
    pub(crate) fn commit(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// Rows in all tables.
    pub(crate) fn rows(&self) -> Result<u64, StoreError> {
        Ok(self.state()?.sums.rows())
    }

    /// Writes a state as it is, durably.
    fn put_state(&self, state: &State) -> Result<(), StoreError> {
        self.guarded(|| {
            self.trees[Table::ALL.len()].insert(STATE_KEY, state.to_bytes()).map_err(from_sled)?;
            self.flush_now()
        })
    }

    /// Closes the database and waits until nothing writes to its files any more. `Ok` if all is on disk. Gives the number of the last
    /// commit.
    pub(crate) fn close(self) -> Result<u64, StoreError> {
        self.make_durable()?;
        self.mark.sync().map_err(unavailable)?;
        let Self { db, trees, path, committed, .. } = self;
        guard(move || {
            drop(trees);
            drop(db);
            Ok(())
        })?;
        await_release(&path)?;
        // Opening is when sled writes down where each page lies: whoever opens next need not read the log for it.
        guard(|| config(&path).open().map(drop).map_err(from_sled))?;
        await_release(&path)?.sync_all().map_err(unavailable)?;
        folder::sync(&path).map_err(unavailable)?;
        Ok(committed.into_inner())
    }

    fn state(&self) -> Result<State, StoreError> {
        match self.guarded(|| read_state(&self.trees[Table::ALL.len()]))? {
            Found::Current(state) => Ok(state),
            Found::Single { .. } => Err(StoreError::Unavailable("the database is being opened".to_owned())),
        }
    }

    fn tree(&self, table: Table) -> &sled::Tree {
        &self.trees[table.index()]
    }

    /// `None` if a chunk is missing.
    fn read_chunks(
        &self,
        table: Table,
        key: &[u8],
        generation: u64,
        length: usize,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut value = Vec::with_capacity(length.min(ROW_BYTES_MAX));
        for index in 0..txn::chunk_count(length) {
            match self
                .tree(Table::Chunks)
                .get(txn::chunk_key(table, key, generation, index))
                .map_err(from_sled)?
            {
                Some(chunk) => value.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
        if value.len() == length { Ok(Some(value)) } else { Err(damaged(table, key, "its parts do not fit")) }
    }

    fn guarded<T>(&self, body: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(error) = self.shut.get() {
            return Err(error.clone());
        }
        let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(from_panic(&*panic)));
        if let Err(error @ StoreError::Damaged(_)) = &outcome {
            // What is damaged in one place is served in none. The first reason stands.
            if self.shut.set(error.clone()).is_ok() {
                self.checks.found_damage(error);
            }
        }
        outcome
    }
}

fn config(path: &Path) -> sled::Config {
    sled::Config::default()
        .path(path)
        .segment_size(SEGMENT_BYTES)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(Some(FLUSH_EVERY_MS))
}

/// sled holds its lock until its last background task has ended.
fn await_release(path: &Path) -> Result<File, StoreError> {
    let file = File::open(path.join("db")).map_err(unavailable)?;
    let since = Instant::now();
    while file.try_lock().is_err() {
        if since.elapsed() > RELEASE_WAIT_MAX {
            return Err(StoreError::Unavailable("the database's threads did not end".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    file.unlock().map_err(unavailable)?;
    Ok(file)
}

fn read_state(meta: &sled::Tree) -> Result<Found, StoreError> {
    let Some(bytes) = meta.get(STATE_KEY).map_err(from_sled)? else {
        return Ok(Found::Current(State::default()));
    };
    // Its first four bytes are the schema in each of its forms, so that a newer one is not taken for a damaged one.
    if let Some(found) = bytes.first_chunk() {
        schema::check(u32::from_be_bytes(*found))?;
    }
    Found::parse(&bytes)
}

#[cfg(test)]
mod tests;
