//! Many writers, one flush: whoever finds no flush running does the next one, for all who wait.

use std::sync::{Condvar, Mutex, PoisonError};

use atelier_domain::store::StoreError;

#[derive(Default)]
pub(super) struct GroupCommit {
    state: Mutex<Flushes>,
    ended: Condvar,
}

#[derive(Default)]
struct Flushes {
    started: u64,
    succeeded: u64,
    running: bool,
    failed: Option<StoreError>,
    /// So that a test can await the waiters.
    #[cfg(test)]
    waiting: usize,
}

impl GroupCommit {
    /// # Errors
    /// A flush has failed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failed.clone().map_or(Ok(()), Err)
    }

    /// Notes that a write has failed outside of a flush: nothing is acknowledged any more.
    pub(super) fn fail(&self, error: &StoreError) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failed.get_or_insert_with(|| for_later(error));
        self.ended.notify_all();
    }

    /// Returns when a flush that began after this call has succeeded, or once any has failed.
    pub(super) fn wait(&self, flush: impl Fn() -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // One that runs already may have begun before our commit.
        let wanted = state.started + 1;
        loop {
            if state.succeeded >= wanted {
                return Ok(());
            }
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            if state.running {
                #[cfg(test)]
                {
                    state.waiting += 1;
                }
                state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.running = true;
            state.started += 1;
            let number = state.started;
            drop(state);
            let outcome = flush();
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.running = false;
            match outcome {
                Ok(()) => state.succeeded = number,
                Err(error) => {
                    state.failed = Some(for_later(&error));
                    self.ended.notify_all();
                    return Err(error);
                }
            }
            self.ended.notify_all();
        }
    }
}

/// What is told to whoever comes after a flush that failed.
fn for_later(error: &StoreError) -> StoreError {
    let why = "a write has failed; nothing that was acknowledged is lost: mend what it says, then restart the server";
    match error {
        StoreError::Full(text) => StoreError::Full(format!("{why} ({text})")),
        StoreError::Damaged(text) => StoreError::Damaged(text.clone()),
        other => StoreError::Unavailable(format!("{why} ({other})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn every_waiter_gets_a_flush_that_began_after_its_commit() {
        let (commits, committed, flushed) = (GroupCommit::default(), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let mine = committed.fetch_add(1, Ordering::SeqCst) + 1;
                        let flush = || {
                            let seen = committed.load(Ordering::SeqCst);
                            std::thread::yield_now();
                            flushed.store(seen, Ordering::SeqCst);
                            Ok(())
                        };
                        commits.wait(flush).expect("flushes succeed");
                        assert!(flushed.load(Ordering::SeqCst) >= mine);
                    }
                });
            }
        });
    }

    #[test]
    fn writers_that_wait_together_share_one_flush() {
        let (commits, flushes, began) = (GroupCommit::default(), AtomicU64::new(0), Barrier::new(2));
        let count = || {
            flushes.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                commits.wait(|| {
                    began.wait();
                    // It ends only when four others wait.
                    while commits.state.lock().expect("no panic").waiting < 4 {
                        std::thread::yield_now();
                    }
                    Ok(())
                })
            });
            began.wait();
            let waiters: Vec<_> = (0..4).map(|_| scope.spawn(|| commits.wait(count))).collect();
            for waiter in waiters {
                waiter.join().expect("no panic").expect("flushes succeed");
            }
        });
        assert_eq!(flushes.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn after_a_write_that_failed_nothing_is_acknowledged() {
        let commits = GroupCommit::default();
        commits.fail(&StoreError::Full("no space".to_owned()));
        commits.fail(&StoreError::Unavailable("another".to_owned()));
        assert!(matches!(commits.check(), Err(StoreError::Full(_))), "the first reason stands");
        assert!(commits.wait(|| Ok(())).is_err());
    }

    #[test]
    fn after_a_failed_flush_nothing_is_acknowledged() {
        let commits = GroupCommit::default();
        let failing = || Err(StoreError::Unavailable("no space".to_owned()));
        assert!(commits.wait(failing).is_err());
        assert!(commits.wait(|| Ok(())).is_err(), "what reached the disk is unknown");
    }
}
