//! What lies under its owner's id, and is found by it.

use atelier_domain::batch::Batch;
use atelier_domain::id::UserId;
use atelier_domain::store::{BatchStore as _, ConversationStore as _, StoreError};

use super::of;
use crate::codec::damaged;
use crate::engine::{Txn, TxnError};
use crate::keys::conversations::conversation_of_active;
use crate::keys::files::{file_of_owned, link_of_owned};
use crate::keys::{batches, job_of_owned};
use crate::schema::Table;
use crate::store::{Store, batches as stored_batches, claims, credentials, files, jobs, links};

/// Messages removed in one step: each may have a thousand words.
const MESSAGES_MAX: usize = 16;

type Eraser = fn(&Store, UserId, usize) -> Result<usize, StoreError>;

/// In this order: events are forgotten in their jobs' rows.
const ERASERS: [Eraser; 9] =
    [jobs_of, conversations_of, batches_of, files_of, links_of, claims_of, events_of, sessions_of, keys_of];

impl Store {
    /// Removes some of what is found by its owner; gives how much, 0 where nothing is left but open jobs.
    pub(super) fn erase_under(&self, user: UserId, limit: usize) -> Result<usize, StoreError> {
        for erase in ERASERS {
            let erased = erase(self, user, limit)?;
            if erased > 0 {
                return Ok(erased);
            }
        }
        Ok(0)
    }
}

fn jobs_of(store: &Store, user: UserId, limit: usize) -> Result<usize, StoreError> {
    // Open ones stay until they have ended: there are so many at most.
    let open = store.engine().count(Table::JobsOpenByOwner, user.as_bytes())?;
    let mut erased = 0;
    for key in store.engine().keys(Table::JobsByOwner, of(user), limit.saturating_add(open))? {
        let id = job_of_owned(&key)?;
        erased += usize::from(store.engine().write_soon(|txn| jobs::orphan(txn, user, id))?);
    }
    Ok(erased)
}

fn conversations_of(store: &Store, user: UserId, limit: usize) -> Result<usize, StoreError> {
    let mut removed = 0;
    for key in store.engine().keys(Table::ConversationsByActivity, of(user), limit)? {
        removed += usize::from(store.remove_conversation(user, conversation_of_active(&key)?)?);
    }
    match removed {
        // Messages of others' removed conversations go with them.
        0 => store.sweep_conversations(MESSAGES_MAX),
        _ => Ok(removed),
    }
}

fn batches_of(store: &Store, user: UserId, limit: usize) -> Result<usize, StoreError> {
    let keys = store.engine().keys(Table::BatchesByOwner, of(user), 1)?;
    let Some(key) = keys.first() else { return Ok(0) };
    let id = batches::batch_of_owned(key)?;
    let lines = store.forget_lines(id, limit)?;
    if lines > 0 {
        return Ok(lines);
    }
    let batch: Option<Batch> = store.row(Table::Batches, id.as_bytes())?;
    let batch = batch.ok_or_else(|| damaged(Table::BatchesByOwner, key, "its batch is gone"))?;
    store.engine().write_soon(|txn| stored_batches::erase(txn, &batch))?;
    Ok(1)
}

fn files_of(store: &Store, user: UserId, limit: usize) -> Result<usize, StoreError> {
    each(store, Table::FilesByOwner, user, limit, |txn, key| files::erase(txn, user, file_of_owned(key)?))
}

fn links_of(store: &Store, user: UserId, limit: usize) -> Result<usize, StoreError> {
    each(store, Table::LinksByOwner, user, limit, |txn, key| links::remove(txn, user, link_of_owned(key)?))
}

fn claims_of(store: &Store, user: UserId, limit: usize) -> Result<usize, StoreError> {
    each(store, Table::Claims, user, limit, claims::erase)
}

fn events_of(store: &Store, user: UserId, limit: usize) -> Result<usize, StoreError> {
    store.forget_events_of(user, limit)
}

fn sessions_of(store: &Store, user: UserId, limit: usize) -> Result<usize, StoreError> {
    each(store, Table::SessionsByOwner, user, limit, credentials::remove)
}

fn keys_of(store: &Store, user: UserId, limit: usize) -> Result<usize, StoreError> {
    each(store, Table::KeysByOwner, user, limit, |txn, key| {
        let Some(digest) = txn.get(Table::KeysByOwner, key)? else { return Ok(false) };
        txn.remove(Table::Keys, &digest)?;
        txn.remove(Table::KeysByOwner, key)
    })
}

/// Removes what the user's keys in a table lead to, each in a transaction of its own; gives how much.
fn each(
    store: &Store,
    table: Table,
    user: UserId,
    limit: usize,
    remove: impl Fn(&Txn<'_>, &[u8]) -> Result<bool, TxnError>,
) -> Result<usize, StoreError> {
    let mut removed = 0;
    for key in store.engine().keys(table, of(user), limit)? {
        removed += usize::from(store.engine().write_soon(|txn| remove(txn, &key))?);
    }
    Ok(removed)
}
