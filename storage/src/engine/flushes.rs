//! Many who wait, one flush: whoever finds no flush running does the next one, for all of them.

use std::sync::{Condvar, Mutex, PoisonError};

use atelier_domain::store::StoreError;

#[derive(Default)]
pub(super) struct Flushes {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    started: u64,
    succeeded: u64,
    running: bool,
    failed: Option<StoreError>,
    /// So that a test can await the waiters.
    #[cfg(test)]
    waiting: usize,
}

impl Flushes {
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
                    state.failed = Some(error.clone());
                    self.ended.notify_all();
                    return Err(error);
                }
            }
            self.ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn every_waiter_gets_a_flush_that_began_after_its_commit() {
        let (flushes, committed, flushed) = (Flushes::default(), AtomicU64::new(0), AtomicU64::new(0));
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
                        flushes.wait(flush).expect("flushes succeed");
                        assert!(flushed.load(Ordering::SeqCst) >= mine);
                    }
                });
            }
        });
    }

    #[test]
    fn writers_that_wait_together_share_one_flush() {
        let (flushes, count, began) = (Flushes::default(), AtomicU64::new(0), Barrier::new(2));
        let flush = || {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                flushes.wait(|| {
                    began.wait();
                    // It ends only when four others wait.
                    while flushes.state.lock().expect("no panic").waiting < 4 {
                        std::thread::yield_now();
                    }
                    Ok(())
                })
            });
            began.wait();
            let waiters: Vec<_> = (0..4).map(|_| scope.spawn(|| flushes.wait(flush))).collect();
            for waiter in waiters {
                waiter.join().expect("no panic").expect("flushes succeed");
            }
        });
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn after_a_failed_flush_nothing_is_acknowledged() {
        let flushes = Flushes::default();
        let failing = || Err(StoreError::Unavailable("no space".to_owned()));
        assert!(flushes.wait(failing).is_err());
        assert!(flushes.wait(|| Ok(())).is_err(), "what reached the disk is unknown");
    }
}
