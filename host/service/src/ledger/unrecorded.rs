//! Live calls that have ended and could not be recorded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use atelier_domain::money::LiveUse;
use atelier_domain::store::{LedgerStore, StoreError};

use super::purse::Reservation;

/// Calls that are kept: those that were under way when the first could not be recorded.
const KEPT_MAX: usize = 4_096;

/// Calls that could not be recorded, kept with what is set aside for them until they can be. As long as recording fails, no call is let in:
/// it would be free.
#[derive(Debug, Default)]
pub(super) struct Unrecorded {
    is_failing: AtomicBool,
    calls: Mutex<VecDeque<(LiveUse, Option<Reservation>)>>,
}

impl Unrecorded {
    /// Whether the last call could not be recorded, and nothing has shown since that the next could.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Acquire)
    }

    /// A call could not be recorded.
    pub(super) fn keep(&self, used: LiveUse, reservation: Option<Reservation>) {
        let mut calls = self.lock();
        self.is_failing.store(true, Ordering::Release);
        if calls.len() < KEPT_MAX {
            calls.push_back((used, reservation));
        } else {
            let request_id = used.record.request_id.unwrap_or_default();
            tracing::error!(request_id, "a live call could not be recorded, nor kept, and is not charged");
        }
    }

    /// Records what could not be recorded, once something that is nobody's has reached the disk. Blocks.
    ///
    /// # Errors
    /// It cannot be recorded yet.
    pub(super) fn try_again(&self, store: &dyn LedgerStore) -> Result<(), StoreError> {
        store.probe()?;
        loop {
            // Others may come meanwhile; the lock is not held while one is written.
            let Some((used, reservation)) = self.next() else { return Ok(()) };
            if let Err(error) = store.record(&used) {
                self.lock().push_front((used, reservation));
                return Err(error);
            }
            if let Some(reservation) = reservation {
                reservation.spend(used.record.cost.unwrap_or_default());
            }
        }
    }

    /// The call that has waited longest. With none left, recording works.
    fn next(&self) -> Option<(LiveUse, Option<Reservation>)> {
        let mut calls = self.lock();
        let next = calls.pop_front();
        if next.is_none() {
            self.is_failing.store(false, Ordering::Release);
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(LiveUse, Option<Reservation>)>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
