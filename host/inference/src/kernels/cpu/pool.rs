//! Threads that share the pieces of one operation.
//!
//! An operation takes tens of microseconds, so a thread that finds nothing to do looks again for a while before it
//! sleeps. Pieces are taken one by one: a thread that the system holds up delays its own piece, not a fixed share.
#![allow(unsafe_code, reason = "a closure is lent to other threads until all of them are done with it")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::error::ModelError;

/// Looks at the door before a thread sleeps: about a tenth of a millisecond.
const LOOKS_MAX: usize = 4000;

/// The threads; dropping it ends them.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// One operation at a time.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct Shared {
    door: Mutex<Door>,
    opened: Condvar,
    /// Changes whenever the door does; read without the lock.
    epoch: AtomicUsize,
    next: AtomicUsize,
    inside: AtomicUsize,
    panicked: AtomicBool,
}

#[derive(Debug, Default)]
struct Door {
    job: Option<Job>,
    asleep: usize,
    closing: bool,
}

#[derive(Clone, Copy)]
struct Job {
    piece: &'static (dyn Fn(usize) + Sync),
    count: usize,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Pool {
    /// Threads that together with the caller are `threads`.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where the system gives no thread.
    pub fn new(threads: usize) -> Result<Self, ModelError> {
        let shared = Arc::new(Shared::default());
        let mut pool = Self { shared: shared.clone(), threads: Vec::new(), turn: Mutex::new(()) };
        for index in 1..threads.max(1) {
            let shared = shared.clone();
            let thread = std::thread::Builder::new()
                .name(format!("kernel-{index}"))
                .spawn(move || shared.work())
                .map_err(|error| ModelError::Compute { reason: format!("no thread for it: {error}") })?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Threads, the caller included.
    pub fn threads(&self) -> usize {
        self.threads.len() + 1
    }

    /// Do pieces `0..count`, in any order and on any thread; back when all are done.
    ///
    /// # Panics
    /// Where a piece did.
    pub fn run(&self, count: usize, piece: &(dyn Fn(usize) + Sync)) {
        if count <= 1 || self.threads.is_empty() {
            return (0..count).for_each(piece);
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = &*self.shared;
        // SAFETY: the closure is reached through the door alone. Below, the job is taken from the door and every thread
        // that went in has come out before this function returns, by panic or otherwise; so no use outlives the borrow.
        let lent =
            unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(piece) };
        shared.next.store(0, Ordering::Relaxed);
        shared.panicked.store(false, Ordering::Relaxed);
        {
            let mut door = shared.door();
            door.job = Some(Job { piece: lent, count });
            shared.epoch.fetch_add(1, Ordering::Release);
            if door.asleep > 0 {
                shared.opened.notify_all();
            }
        }
        let mine = catch_unwind(AssertUnwindSafe(|| shared.take_pieces(piece, count)));
        shared.door().job = None;
        let mut looks = 0_usize;
        while shared.inside.load(Ordering::Acquire) > 0 {
            looks += 1;
            if looks < LOOKS_MAX {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        if let Err(panic) = mine {
            resume_unwind(panic);
        }
        assert!(!shared.panicked.load(Ordering::Relaxed), "a kernel panicked on another thread");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let mut door = self.shared.door();
            door.closing = true;
            self.shared.epoch.fetch_add(1, Ordering::Release);
            self.shared.opened.notify_all();
        }
        for thread in self.threads.drain(..) {
            // Its panics were caught and passed on.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut seen = 0;
        loop {
            let mut looks = 0;
            while self.epoch.load(Ordering::Acquire) == seen && looks < LOOKS_MAX {
                looks += 1;
                std::hint::spin_loop();
            }
            let job = {
                let mut door = self.door();
                while self.epoch.load(Ordering::Relaxed) == seen && !door.closing {
                    door.asleep += 1;
                    door = self.opened.wait(door).unwrap_or_else(PoisonError::into_inner);
                    door.asleep -= 1;
                }
                if door.closing {
                    return;
                }
                seen = self.epoch.load(Ordering::Relaxed);
                if door.job.is_some() {
                    // Under the lock: whoever takes the job from the door sees who is inside.
                    self.inside.fetch_add(1, Ordering::Relaxed);
                }
                door.job
            };
            if let Some(job) = job {
                if catch_unwind(AssertUnwindSafe(|| self.take_pieces(job.piece, job.count))).is_err() {
                    self.panicked.store(true, Ordering::Relaxed);
                }
                self.inside.fetch_sub(1, Ordering::Release);
            }
        }
    }

    fn take_pieces(&self, piece: &(dyn Fn(usize) + Sync), count: usize) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            piece(index);
        }
    }
}

/// Rows of floats that several threads write, each its own places.
#[derive(Clone, Copy, Debug)]
pub struct Scatter<'a> {
    start: *mut f32,
    length: usize,
    width: usize,
    _values: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a unique borrow of floats, used through `write` alone, whose callers keep to places of their own.
unsafe impl Send for Scatter<'_> {}
// SAFETY: as above.
unsafe impl Sync for Scatter<'_> {}

impl<'a> Scatter<'a> {
    /// Rows of `width` in `values`.
    pub fn new(values: &'a mut [f32], width: usize) -> Self {
        Self { start: values.as_mut_ptr(), length: values.len(), width, _values: std::marker::PhantomData }
    }

    /// Places `columns` of `row`, for the caller alone.
    ///
    /// # Safety
    /// No two calls whose results live at the same time may overlap.
    #[allow(clippy::mut_from_ref, reason = "the caller keeps to places of its own")]
    pub unsafe fn part(&self, row: usize, column: usize, length: usize) -> &'a mut [f32] {
        let at = row * self.width + column;
        assert!(column + length <= self.width && at + length <= self.length, "outside the rows");
        // SAFETY: within the borrow by the line above, and nobody else's by this function's contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), length) }
    }
}
