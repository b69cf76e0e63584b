//! Threads that serve connections, each with a runtime of its own: what one connection does stays on one thread.
//!
//! On a shared runtime a request wakes other threads several times, for its upstream connection and back, and each wake costs more
//! than the work it hands over (`ops/benchmarks.md`).

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads. They end when this is dropped, with whatever still runs on them.
#[derive(Debug)]
pub(crate) struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Pieces of work on it.
    load: Arc<AtomicUsize>,
    /// Dropped, it ends the thread.
    _running: oneshot::Sender<()>,
}

impl Workers {
    /// Starts so many threads, at least one.
    ///
    /// # Errors
    /// The machine gives no threads.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        (0..count.max(1)).map(Worker::start).collect::<io::Result<_>>().map(Self)
    }

    /// Runs work on the thread that has least of it.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Some(worker) = self.0.iter().min_by_key(|worker| worker.load.load(Ordering::Relaxed)) else {
            return;
        };
        let busy = Busy::new(worker.load.clone());
        worker.runtime.spawn(async move {
            let _busy = busy;
            work.await;
        });
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name(format!("edge-{number}")).spawn(move || {
            // Nothing is ever sent: the channel only closes.
            runtime.block_on(ended).ok();
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, load: Arc::default(), _running: running })
    }
}

/// Counts a piece of work while it lives.
struct Busy(Arc<AtomicUsize>);

impl Busy {
    fn new(load: Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(load)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn work_is_spread_over_the_threads_and_a_task_stays_on_its_own() {
        let workers = Workers::start(3).expect("threads");
        let (told, said) = mpsc::sync_channel(3);
        let (open, _) = tokio::sync::broadcast::channel::<()>(1);
        for _ in 0..3 {
            let (told, mut gate) = (told.clone(), open.subscribe());
            workers.spawn(async move {
                let before = thread::current().id();
                gate.recv().await.expect("opened");
                tokio::task::yield_now().await;
                told.send((before, thread::current().id())).expect("listened to");
            });
        }
        open.send(()).expect("three wait");
        let seen: Vec<_> = (0..3).map(|_| said.recv().expect("told")).collect();
        assert!(seen.iter().all(|(before, after)| before == after));
        assert_eq!(seen.into_iter().map(|(before, _)| before).collect::<HashSet<_>>().len(), 3);
    }

    #[test]
    fn dropped_workers_end_their_threads_and_their_work() {
        let workers = Workers::start(1).expect("a thread");
        let (told, said) = mpsc::sync_channel::<()>(1);
        workers.spawn(async move {
            let _told = told;
            std::future::pending::<()>().await;
        });
        drop(workers);
        assert!(said.recv().is_err(), "the work is dropped with its thread");
    }
}
