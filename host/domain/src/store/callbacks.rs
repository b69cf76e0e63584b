//! The port of processed callbacks.

use std::fmt;

use super::StoreError;
use crate::id::JobId;
use crate::job::Job;
use crate::time::Timestamp;

/// A callback that was here, by a hash of its instance and of its id there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallbackMark(pub [u8; 32]);

/// Callbacks that were processed, each for at least one `period` and at most two. A period is a number that grows with time.
pub trait CallbackStore: Send + Sync + fmt::Debug {
    /// Whether a callback was taken in this period or the one before.
    fn is_callback_taken(&self, mark: CallbackMark, period: u64) -> Result<bool, StoreError>;
    /// Marks a callback as taken, and makes the jobs that it is about due at `now` where they are open, in one transaction, durably. Gives
    /// these jobs as they then are, or `None` if it was taken before: then nothing is done. Without a mark nobody can tell that, and it is
    /// always done.
    fn take_callback(
        &self,
        mark: Option<CallbackMark>,
        period: u64,
        jobs: &[JobId],
        now: Timestamp,
    ) -> Result<Option<Vec<Job>>, StoreError>;
    /// Forgets marks of periods before `period`, `limit` at most; gives how many.
    fn sweep_callbacks(&self, period: u64, limit: usize) -> Result<usize, StoreError>;
}
