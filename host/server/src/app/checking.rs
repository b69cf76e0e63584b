//! The reading of all that is stored beside the work: rows are compared with what was committed, blobs that rows name are looked for.
//! It begins with the start, takes a quarter of one core at most, and comes again each day.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use atelier_domain::blob::{BlobId, BlobStore};
use atelier_domain::store::StoreError;
use atelier_storage::Store;

/// How long it rests, as a multiple of how long it worked.
const RESTS: u32 = 3;
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// After a backup took its turn, or the disk failed.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Blobs looked for between two rests.
const BLOBS_AT_ONCE: usize = 16;
/// Blobs that are named one by one.
const NAMED_MAX: usize = 20;

/// What is known of the blobs that rows name.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlobCheck {
    /// Those looked for by the pass under way, or by the last.
    pub looked_for: u64,
    /// Those that are gone or damaged.
    pub bad: u64,
    /// What is wrong, of the first of them.
    pub reasons: Vec<String>,
    /// Whether a pass came to its end.
    pub is_done: bool,
}

/// The thread, and what it found.
#[derive(Debug)]
pub(crate) struct Checking {
    pub store: Arc<Store>,
    blobs: Arc<dyn BlobStore>,
    found: Mutex<BlobCheck>,
}

/// Ends the thread.
#[derive(Debug)]
pub(super) struct Stop {
    tell: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Checking {
    pub(super) fn new(store: Arc<Store>, blobs: Arc<dyn BlobStore>) -> Self {
        Self { store, blobs, found: Mutex::default() }
    }

    /// What is known of the blobs.
    pub(crate) fn blobs(&self) -> BlobCheck {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins.
    pub(super) fn start(self: &Arc<Self>) -> io::Result<Stop> {
        let (tell, told) = sync_channel(1);
        let checking = self.clone();
        let run = move || checking.run(&told);
        Ok(Stop { tell, thread: std::thread::Builder::new().name("store-check".to_owned()).spawn(run)? })
    }

    fn run(&self, told: &Receiver<()>) {
        loop {
            let wait = match self.pass(told) {
                Ok(true) => EVERY,
                Ok(false) => AGAIN_AFTER,
                Err(error @ StoreError::Damaged(_)) => {
                    tracing::error!(%error, "the store is damaged: nothing that is stored is served any more");
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "the store could not be checked");
                    AGAIN_AFTER
                }
            };
            if !rests(told, wait) {
                return;
            }
        }
    }

    /// Reads everything once; `false` if it was ended before.
    fn pass(&self, told: &Receiver<()>) -> Result<bool, StoreError> {
        let began = Instant::now();
        let rows = self.store.verify_gently(&mut |took| rests(told, took * RESTS))?;
        let Some(rows) = rows else { return Ok(false) };
        let seconds = began.elapsed().as_secs_f64();
        tracing::info!(rows, seconds, "all rows were read and are those that were committed");
        self.look_for_blobs(told)
    }

    fn look_for_blobs(&self, told: &Receiver<()>) -> Result<bool, StoreError> {
        let mut found = BlobCheck::default();
        let mut after = None;
        loop {
            let began = Instant::now();
            let ids = self.store.named_blobs(after, BLOBS_AT_ONCE)?;
            for id in &ids {
                if let Some(reason) = is_bad(&*self.blobs, id) {
                    tracing::error!(blob = %id, reason, "a blob that rows name cannot be read");
                    found.bad += 1;
                    if found.reasons.len() < NAMED_MAX {
                        found.reasons.push(reason);
                    }
                }
            }
            found.looked_for += ids.len() as u64;
            found.is_done = ids.is_empty();
            *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found.clone();
            let Some(last) = ids.last() else { return Ok(true) };
            after = Some(*last);
            if !rests(told, began.elapsed() * RESTS) {
                return Ok(false);
            }
        }
    }
}

/// Why a blob cannot be given out: it is gone or, if it is small, another.
pub(crate) fn is_bad(blobs: &dyn BlobStore, id: &BlobId) -> Option<String> {
    match blobs.open(id, "") {
        Ok(Some(_)) => None,
        Ok(None) => {
            let (name, folder) = (id.to_string(), "blobs");
            let (first, rest) = name.split_at(2);
            Some(format!("the blob {id} is gone ({folder}/{first}/{rest}): restore it from a backup"))
        }
        Err(error) => Some(error.to_string()),
    }
}

/// Waits; `false` once it is to end.
fn rests(told: &Receiver<()>, time: Duration) -> bool {
    matches!(told.recv_timeout(time), Err(RecvTimeoutError::Timeout))
}

impl Stop {
    /// Ends it, and waits for that.
    pub(super) fn stop(self) {
        drop(self.tell);
        if self.thread.join().is_err() {
            tracing::error!("the thread that checks the store ended unexpectedly");
        }
    }
}
