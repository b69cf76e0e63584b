//! The port of deletions of users.

use std::fmt;

use super::StoreError;
use crate::deletion::{Deletion, ErasureStep, OpenWork};
use crate::id::UserId;
use crate::time::Timestamp;

/// Deletions of users. Whatever would be a deleted user's is refused from the transaction of [`DeletionStore::delete_user`] on, so that
/// an erasure which has come to its end stays complete.
pub trait DeletionStore: Send + Sync + fmt::Debug {
    /// Deletes a user, durably and in one: their name is free, they are disabled and have no password, no session of theirs holds, no
    /// webhook endpoint of theirs is left, and no mail to their address waits. What they stored is removed by
    /// [`DeletionStore::erase_some`]. Gives the deletion, the first one where there was one before; `None` if there is no such user.
    fn delete_user(&self, user: UserId, at: Timestamp) -> Result<Option<Deletion>, StoreError>;
    fn deletion(&self, user: UserId) -> Result<Option<Deletion>, StoreError>;
    /// Deletions that are not finished, `limit` at most.
    fn open_deletions(&self, limit: usize) -> Result<Vec<Deletion>, StoreError>;
    /// What keeps the erasure of a user waiting, `limit` of each kind at most.
    fn open_work_of(&self, user: UserId, limit: usize) -> Result<OpenWork, StoreError>;
    /// Removes some of what a deleted user stored, about `limit` rows, durably; goes on where the last step ended, also that of another
    /// process. The last step returns what is left of their credits to where credits come from.
    fn erase_some(&self, user: UserId, now: Timestamp, limit: usize) -> Result<ErasureStep, StoreError>;
}
