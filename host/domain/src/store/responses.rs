//! Answers that are kept.

use std::fmt;

use super::{Overdue, StoreError, SweepPage};
use crate::id::{ResponseId, UserId};
use crate::response::StoredResponse;
use crate::time::Timestamp;

/// Kept answers of users. Their bytes count as those of files do.
pub trait ResponseStore: Send + Sync + fmt::Debug {
    /// Keeps an answer, durably.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the id is taken; [`StoreError::QuotaExceeded`] if its owner would then have more than `quota_bytes`.
    fn create_response(&self, response: &StoredResponse, quota_bytes: u64) -> Result<(), StoreError>;
    /// The owner's answer; another's is none.
    fn response_of(&self, owner: UserId, id: ResponseId) -> Result<Option<StoredResponse>, StoreError>;
    /// Those of the owner's answers that are among the `limit` answers of anybody behind `after`, and where to go on; `None` at the
    /// end of all.
    fn responses_of(
        &self,
        owner: UserId,
        after: Option<ResponseId>,
        limit: usize,
    ) -> Result<(Vec<StoredResponse>, Option<ResponseId>), StoreError>;
    /// Removes the owner's answer, durably; `false` if they have none such.
    fn remove_response(&self, owner: UserId, id: ResponseId) -> Result<bool, StoreError>;
    /// Answers whose time was over at `now`, and their owners.
    fn expired_responses(
        &self,
        now: Timestamp,
        page: &SweepPage,
    ) -> Result<Overdue<(UserId, ResponseId)>, StoreError>;
}
