use std::ops::Bound;

use atelier_domain::store::{CallbackMark, CallbackStore, StoreError};

use super::Store;
use crate::keys;
use crate::schema::Table;

impl CallbackStore for Store {
    fn mark_callback(&self, mark: CallbackMark, period: u64) -> Result<bool, StoreError> {
        let (now, before) =
            (keys::callback_mark(period, mark), keys::callback_mark(period.saturating_sub(1), mark));
        self.engine().write(|txn| {
            if txn.contains(Table::CallbackMarks, &now)? || txn.contains(Table::CallbackMarks, &before)? {
                return Ok(false);
            }
            txn.put(Table::CallbackMarks, &now, &[])?;
            Ok(true)
        })
    }

    fn unmark_callback(&self, mark: CallbackMark, period: u64) -> Result<(), StoreError> {
        let key = keys::callback_mark(period, mark);
        self.engine().write(|txn| txn.remove(Table::CallbackMarks, &key)).map(|_| ())
    }

    fn sweep_callbacks(&self, period: u64, limit: usize) -> Result<usize, StoreError> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        let mut old = Vec::new();
        for key in self.engine().keys(Table::CallbackMarks, all, limit)? {
            if keys::period_of(&key)? >= period {
                break;
            }
            old.push(key);
        }
        self.engine()
            .write(|txn| old.iter().try_for_each(|key| txn.remove(Table::CallbackMarks, key).map(|_| ())))?;
        Ok(old.len())
    }
}
