//! The port of processed callbacks.

use std::fmt;

use super::StoreError;

/// A callback that was here, by a hash of its instance and of its id there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallbackMark(pub [u8; 32]);

/// Callbacks that were processed, each for at least one `period` and at most two. A period is a number that grows with time.
pub trait CallbackStore: Send + Sync + fmt::Debug {
    /// Marks a callback; `false` if it was marked in this period or the one before. Recorded: on disk before whatever is made durable after
    /// it.
    fn mark_callback(&self, mark: CallbackMark, period: u64) -> Result<bool, StoreError>;
    /// Forgets a mark of this period.
    fn unmark_callback(&self, mark: CallbackMark, period: u64) -> Result<(), StoreError>;
    /// Forgets marks of periods before `period`, `limit` at most; gives how many.
    fn sweep_callbacks(&self, period: u64, limit: usize) -> Result<usize, StoreError>;
}
