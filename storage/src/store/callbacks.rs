use std::ops::Bound;

use atelier_domain::id::JobId;
use atelier_domain::job::Job;
use atelier_domain::store::{CallbackMark, CallbackStore, StoreError};
use atelier_domain::time::Timestamp;

use super::Store;
use crate::keys;
use crate::schema::Table;

impl CallbackStore for Store {
    fn is_callback_taken(&self, mark: CallbackMark, period: u64) -> Result<bool, StoreError> {
        for key in marks(mark, period) {
            if self.engine().get(Table::CallbackMarks, &key)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn take_callback(
        &self,
        mark: Option<CallbackMark>,
        period: u64,
        jobs: &[JobId],
        now: Timestamp,
    ) -> Result<Option<Vec<Job>>, StoreError> {
        self.engine().write(|txn| {
            if let Some(mark) = mark {
                let [key, before] = marks(mark, period);
                if txn.contains(Table::CallbackMarks, &key)? || txn.contains(Table::CallbackMarks, &before)? {
                    return Ok(None);
                }
                txn.put_key(Table::CallbackMarks, &key)?;
            }
            let mut woken = Vec::with_capacity(jobs.len());
            for id in jobs {
                woken.extend(super::jobs::wake(txn, *id, now)?);
            }
            Ok(Some(woken))
        })
    }

    fn sweep_callbacks(&self, period: u64, limit: usize) -> Result<usize, StoreError> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        let mut old = Vec::new();
        for key in self.engine().keys(Table::CallbackMarks, all, limit)? {
            // What is no mark is of no use, and goes with the old ones.
            if keys::period_of(&key).is_ok_and(|found| found >= period) {
                break;
            }
            old.push(key);
        }
        self.engine().write_soon(|txn| {
            old.iter().try_for_each(|key| txn.remove(Table::CallbackMarks, key).map(|_| ()))
        })?;
        Ok(old.len())
    }
}

/// The keys of a mark in this period and the one before.
fn marks(mark: CallbackMark, period: u64) -> [Vec<u8>; 2] {
    [period, period.saturating_sub(1)].map(|period| keys::callback_mark(period, mark).to_vec())
}
