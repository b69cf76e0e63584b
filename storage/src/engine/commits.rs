//! Many writers, one commit.
//!
//! The body of a transaction runs in its writer's thread, one at a time, and sees what the bodies before it have left. What it writes
//! waits until the commit before has ended. Then one of those who wait puts all of it into the trees at once, each row as the last of
//! them left it, and flushes if any of them wants that, while the next bodies run.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use atelier_domain::store::StoreError;

use super::layer::Layer;

/// What is committed together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The number of the commit.
    pub(super) commit: u64,
    pub(super) rows: Arc<Layer>,
    /// The schema's version, where it changes.
    pub(super) schema: Option<u32>,
    /// Until when it gives way to others: as long as all who wait for it do.
    pub(super) gives_way: Option<Instant>,
}

/// What a writer asks of its commit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
    /// It is on disk when it ends.
    pub(super) is_durable: bool,
    /// Until when it may give way to others; not at all where somebody waits.
    pub(super) gives_way: Option<Instant>,
}

/// How a batch gets to where it stays.
pub(super) trait Commit {
    /// Puts it into the trees.
    fn apply(&self, batch: &Batch) -> Result<(), StoreError>;
    /// Returns when all that was put there before is on disk.
    fn flush(&self) -> Result<(), StoreError>;
}

/// What a body has before it and what it writes.
pub(super) struct Seen<'a> {
    /// What lies above the trees, lowest first.
    pub(super) above: [&'a Layer; 2],
    /// The number that its commit will have.
    pub(super) commit: u64,
}

/// What a body leaves.
#[derive(Default)]
pub(super) struct Left {
    pub(super) rows: Layer,
    pub(super) schema: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Commits {
    /// Held while a body runs.
    open: Mutex<Open>,
    /// Never waited for with a body's work: taken after `open` where both are.
    line: Mutex<Line>,
    failed: OnceLock<StoreError>,
}

/// What the next commit will take.
#[derive(Debug, Default)]
struct Open {
    commit: u64,
    rows: Layer,
    schema: Option<u32>,
    wants_flush: bool,
    gives_way: Option<Instant>,
    group: Arc<Group>,
    /// What is being put into the trees, or what was last.
    below: Arc<Layer>,
}

#[derive(Debug, Default)]
struct Line {
    /// Whether somebody puts rows into the trees, or is about to.
    is_led: bool,
    /// The open commit's, if anybody waits for it.
    next: Option<Arc<Group>>,
}

/// Those who wait for one commit.
#[derive(Debug, Default)]
struct Group {
    told: Mutex<Told>,
    changed: Condvar,
    /// So that a test can await the waiters.
    #[cfg(test)]
    waiting: std::sync::atomic::AtomicUsize,
}

#[derive(Debug, Default)]
enum Told {
    #[default]
    Nothing,
    /// One of them is to make the commit.
    Lead,
    Ended(Result<(), StoreError>),
}

impl Commits {
    /// `last` is the number of the last commit.
    pub(super) fn new(last: u64) -> Self {
        let open = Open { commit: last + 1, ..Open::default() };
        Self { open: Mutex::new(open), line: Mutex::default(), failed: OnceLock::new() }
    }

    /// Runs a body and returns what it ends with, once what it has written and seen is committed, and on disk if it is so wished:
    /// here, or by another who waits for the same. A body that ends with an error leaves nothing.
    ///
    /// # Errors
    /// This commit has failed, or any before it: what reached the disk is then unknown, and nothing is acknowledged any more.
    pub(super) fn make<T, E>(
        &self,
        wish: Wish,
        body: impl FnOnce(&Seen<'_>) -> Result<(T, Left), E>,
        to: &impl Commit,
    ) -> Result<Result<T, E>, StoreError> {
        let mut open = self.open();
        // What cannot be made durable would be seen by all, and gone after the next start.
        self.check()?;
        let seen = Seen { above: [&open.below, &open.rows], commit: open.commit };
        let outcome = match body(&seen) {
            Ok((value, left)) => {
                open.gives_way = if open.rows.is_empty() {
                    wish.gives_way
                } else {
                    open.gives_way.zip(wish.gives_way).map(|(one, other)| one.min(other))
                };
                open.rows.put(left.rows);
                open.schema = left.schema.or(open.schema);
                open.wants_flush |= wish.is_durable;
                Ok(value)
            }
            Err(error) => Err(error),
        };
        if self.is_to_lead(&open.group) {
            return self.lead(open, to).map(|()| outcome);
        }
        let group = Arc::clone(&open.group);
        drop(open);
        match group.wait() {
            Some(ended) => ended,
            None => self.lead(self.open(), to),
        }
        .map(|()| outcome)
    }

    /// Returns when all that was committed before this call is on disk.
    ///
    /// # Errors
    /// As those of [`Commits::make`].
    pub(super) fn flush(&self, to: &impl Commit) -> Result<(), StoreError> {
        self.check()?;
        to.flush().inspect_err(|error| self.fail(error))
    }

    /// # Errors
    /// A commit has failed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.failed.get().cloned().map_or(Ok(()), Err)
    }

    /// Nothing is acknowledged any more. The first reason stands.
    fn fail(&self, error: &StoreError) {
        let _an_earlier_one = self.failed.set(for_later(error));
    }

    /// Whether nobody leads who would hand on to this group.
    fn is_to_lead(&self, group: &Arc<Group>) -> bool {
        let mut line = self.line();
        if line.is_led {
            line.next = Some(Arc::clone(group));
        }
        !std::mem::replace(&mut line.is_led, true)
    }

    /// Commits what is open, and tells all who wait for it.
    fn lead(&self, mut open: MutexGuard<'_, Open>, to: &impl Commit) -> Result<(), StoreError> {
        let Open { commit, rows, schema, wants_flush, gives_way, group, .. } = std::mem::take(&mut *open);
        let rows = Arc::new(rows);
        (open.commit, open.below) = (commit + 1, Arc::clone(&rows));
        self.line().next = None;
        drop(open);
        let mut ended = self.check().and_then(|()| to.apply(&Batch { commit, rows, schema, gives_way }));
        if let Err(error) = &ended {
            self.fail(error);
        }
        if wants_flush {
            ended = ended.and_then(|()| self.flush(to));
        }
        group.tell(Told::Ended(ended.clone()));
        let mut line = self.line();
        match line.next.take() {
            Some(next) => next.tell(Told::Lead),
            None => line.is_led = false,
        }
        drop(line);
        ended
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    fn tell(&self, what: Told) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let leads = matches!(what, Told::Lead);
        *told = what;
        drop(told);
        if leads { self.changed.notify_one() } else { self.changed.notify_all() }
    }

    /// How the commit ended, or `None` for the one who is to make it.
    fn wait(&self) -> Option<Result<(), StoreError>> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        #[cfg(test)]
        self.waiting.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        loop {
            match &*told {
                Told::Nothing => told = self.changed.wait(told).unwrap_or_else(PoisonError::into_inner),
                Told::Lead => {
                    *told = Told::Nothing;
                    return None;
                }
                Told::Ended(ended) => return Some(ended.clone()),
            }
        }
    }
}

/// What is told to whoever comes after a commit that failed.
fn for_later(error: &StoreError) -> StoreError {
    let why = "a write has failed; nothing that was acknowledged is lost: mend what it says, then restart the server";
    match error {
        StoreError::Full(text) => StoreError::Full(format!("{why} ({text})")),
        StoreError::Damaged(text) => StoreError::Damaged(text.clone()),
        other => StoreError::Unavailable(format!("{why} ({other})")),
    }
}

#[cfg(test)]
mod tests;
