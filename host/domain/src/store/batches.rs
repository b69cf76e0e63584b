//! Batches and the requests of them that have ended.

use std::fmt;

use super::StoreError;
use crate::batch::{Batch, EndedLine};
use crate::id::{BatchId, UserId};

/// Batches of users. Their rows, and the names that they give blobs, are written in one transaction.
pub trait BatchStore: Send + Sync + fmt::Debug {
    /// Adds a batch, durably.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the id is taken.
    fn create_batch(&self, batch: &Batch) -> Result<(), StoreError>;
    /// The owner's batch; another's is none.
    fn batch_of(&self, owner: UserId, id: BatchId) -> Result<Option<Batch>, StoreError>;
    /// The owner's batches, newest first, before `before`, `limit` at most. Takes time by the page.
    fn batches_of(
        &self,
        owner: UserId,
        before: Option<BatchId>,
        limit: usize,
    ) -> Result<Vec<Batch>, StoreError>;
    /// Batches of all owners that are not final, in the order of their making, `limit` at most.
    fn open_batches(&self, limit: usize) -> Result<Vec<Batch>, StoreError>;
    /// Reads, changes and writes one batch in a transaction, durably. `change` may run again and must do nothing else; it returns
    /// whether to write. Gives the batch as it then is, or `None` if there is none.
    fn change_batch(
        &self,
        id: BatchId,
        change: &dyn Fn(&mut Batch) -> bool,
    ) -> Result<Option<Batch>, StoreError>;
    /// Notes that a request has ended, once, and counts it with its batch, durably.
    fn end_line(&self, batch: BatchId, line: &EndedLine) -> Result<(), StoreError>;
    /// The lines of the requests that have ended, in their order, after `after`, `limit` at most.
    fn ended_line_numbers(&self, batch: BatchId, after: u32, limit: usize) -> Result<Vec<u32>, StoreError>;
    /// The requests that have ended, in their order, after `after`, `limit` at most.
    fn ended_lines(&self, batch: BatchId, after: u32, limit: usize) -> Result<Vec<EndedLine>, StoreError>;
    /// Forgets requests that have ended, `limit` at most; gives how many.
    fn forget_lines(&self, batch: BatchId, limit: usize) -> Result<usize, StoreError>;
}
