//! Deletions of users: the transaction with which everything of theirs dies, and the removal of what they stored.

mod erase;
#[cfg(test)]
mod tests;
mod walk;

use std::ops::Bound;

use atelier_domain::account::User;
use atelier_domain::account::email::EmailAddress;
use atelier_domain::account::session::Credentials;
use atelier_domain::deletion::{Advance, Deletion, ErasureStep, OpenWork};
use atelier_domain::id::{EntryId, UserId};
use atelier_domain::mail::{QueuedMail, TokenUse};
use atelier_domain::store::{DeletionStore, StoreError};
use atelier_domain::time::Timestamp;
use atelier_domain::webhook::WebhookEndpoint;
use serde::{Deserialize, Serialize};

use super::rows::{read, write};
use super::sealed::read_sealed;
use super::{Store, ledger, mail};
use crate::codec::damaged;
use crate::engine::{Txn, TxnError};
use crate::keys::batches::batch_of_owned;
use crate::keys::{job_of_owned, user_name};
use crate::schema::Table;
use walk::Walk;

/// A deletion as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    deletion: Deletion,
    /// Set once nothing is left that lies under its owner: what is walked through then.
    walk: Option<Walk>,
}

impl DeletionStore for Store {
    fn delete_user(&self, user: UserId, at: Timestamp) -> Result<Option<Deletion>, StoreError> {
        let Some(address) = self.row::<User>(Table::Users, user.as_bytes())?.map(|user| user.name) else {
            return Ok(None);
        };
        let address: Option<EmailAddress> = address.parse().ok();
        // Found before the transaction: there are so many at most, and names never change.
        let waiting = address.as_ref().map_or(Ok(Vec::new()), |address| self.mail_to(address))?;
        let key = user.as_bytes();
        self.engine().write(|txn| {
            if let Some(row) = read::<Row>(txn, Table::Deletions, key)? {
                return Ok(Some(row.deletion));
            }
            let Some(found) = read::<User>(txn, Table::Users, key)? else { return Ok(None) };
            txn.remove(Table::UserNames, user_name(&found.name)?)?;
            write(txn, Table::Users, key, &found.tombstone())?;
            let version = read::<Credentials>(txn, Table::Credentials, key)?.unwrap_or_default().version + 1;
            write(txn, Table::Credentials, key, &Credentials { version, ..Credentials::default() })?;
            let endpoints: Option<Vec<WebhookEndpoint>> = read_sealed(txn, Table::WebhookEndpoints, key)?;
            for endpoint in endpoints.iter().flatten() {
                txn.remove(Table::WebhookQueues, endpoint.id.as_bytes())?;
            }
            txn.remove(Table::WebhookEndpoints, key)?;
            for mail in &waiting {
                mail::forget(txn, mail.id)?;
            }
            for purpose in [TokenUse::Verify, TokenUse::Reset] {
                if let Some(address) = &address {
                    mail::forget_token(txn, address, purpose)?;
                }
            }
            let deletion = Deletion { user, begun: at, finished: None };
            write(txn, Table::Deletions, key, &Row { deletion, walk: None })?;
            txn.put_key(Table::DeletionsOpen, key)?;
            Ok(Some(deletion))
        })
    }

    fn deletion(&self, user: UserId) -> Result<Option<Deletion>, StoreError> {
        Ok(self.row::<Row>(Table::Deletions, user.as_bytes())?.map(|row| row.deletion))
    }

    fn open_deletions(&self, limit: usize) -> Result<Vec<Deletion>, StoreError> {
        let mut open = Vec::new();
        for key in self.engine().keys(Table::DeletionsOpen, (Bound::Unbounded, Bound::Unbounded), limit)? {
            // One that was finished since its key was read is left out.
            let row: Option<Row> = self.row(Table::Deletions, &key)?;
            open.extend(row.map(|row| row.deletion).filter(|deletion| deletion.finished.is_none()));
        }
        Ok(open)
    }

    fn open_work_of(&self, user: UserId, limit: usize) -> Result<OpenWork, StoreError> {
        let jobs = self.engine().keys(Table::JobsOpenByOwner, of(user), limit)?;
        let batches = self.engine().keys(Table::BatchesByOwner, of(user), limit)?;
        Ok(OpenWork {
            jobs: jobs.iter().map(|key| job_of_owned(key)).collect::<Result<_, _>>()?,
            batches: batches.iter().map(|key| batch_of_owned(key)).collect::<Result<_, _>>()?,
        })
    }

    fn erase_some(&self, user: UserId, now: Timestamp, limit: usize) -> Result<ErasureStep, StoreError> {
        let mut unreadable = Vec::new();
        let advance = match self.row::<Row>(Table::Deletions, user.as_bytes())? {
            None => {
                let what = format!("user {user}, who was not deleted,");
                return Err(StoreError::Conflict { what });
            }
            Some(Row { deletion: Deletion { finished: Some(_), .. }, .. }) => Advance::Finished,
            Some(Row { walk: None, .. }) => self.erase_owned(user, limit)?,
            Some(Row { walk: Some(walk), .. }) => match self.walk_on(user, walk, limit, &mut unreadable)? {
                Some(next) => self.note_walk(user, next)?,
                None => self.finish(user, now)?,
            },
        };
        self.engine().make_durable()?;
        Ok(ErasureStep { advance, unreadable })
    }
}

impl Store {
    /// What waits to be sent to an address.
    fn mail_to(&self, address: &EmailAddress) -> Result<Vec<QueuedMail>, StoreError> {
        let mut waiting = Vec::new();
        for key in self.engine().keys(Table::Mails, (Bound::Unbounded, Bound::Unbounded), usize::MAX)? {
            let mail: Option<QueuedMail> = self.row(Table::Mails, &key)?;
            waiting.extend(mail.filter(|mail| mail.to == *address));
        }
        Ok(waiting)
    }

    /// Removes what lies under its owner; where nothing is left, the rest is walked through.
    fn erase_owned(&self, user: UserId, limit: usize) -> Result<Advance, StoreError> {
        // Asked first: none begins any more, so that where none is open all that they leave is found.
        let waits = !self.engine().keys(Table::JobsOpenByOwner, of(user), 1)?.is_empty();
        match self.erase_under(user, limit)? {
            0 if waits => Ok(Advance::Waiting),
            0 => self.note_walk(user, Walk::first()),
            _ => Ok(Advance::More),
        }
    }

    fn note_walk(&self, user: UserId, walk: Walk) -> Result<Advance, StoreError> {
        self.engine().write_soon(|txn| {
            let row = row_of(txn, user)?;
            write(txn, Table::Deletions, user.as_bytes(), &Row { walk: Some(walk.clone()), ..row })
        })?;
        Ok(Advance::More)
    }

    /// Removes what counted the owner's things, and returns what is left of their credits.
    fn finish(&self, user: UserId, now: Timestamp) -> Result<Advance, StoreError> {
        let entry = EntryId::new();
        self.engine().write_soon(|txn| {
            if !ledger::close_account(txn, user, entry, now)? {
                return Ok(Advance::Waiting);
            }
            // Keys of providers among them, with which jobs were stopped until now.
            let theirs = [
                Table::FileBytes,
                Table::FileUses,
                Table::ClaimBytes,
                Table::Credentials,
                Table::ProviderKeys,
            ];
            for table in theirs {
                txn.remove(table, user.as_bytes())?;
            }
            let mut row = row_of(txn, user)?;
            row.deletion.finished = Some(now);
            write(txn, Table::Deletions, user.as_bytes(), &row)?;
            txn.remove(Table::DeletionsOpen, user.as_bytes())?;
            Ok(Advance::Finished)
        })
    }
}

/// Refuses what would be a deleted user's: said by whatever creates something, in its transaction.
pub(super) fn refuse_deleted(txn: &Txn<'_>, owner: UserId) -> Result<(), TxnError> {
    match is_deleted(txn, owner)? {
        true => Err(StoreError::Conflict { what: format!("user {owner}, who was deleted,") }.into()),
        false => Ok(()),
    }
}

/// Whether a user was deleted.
pub(super) fn is_deleted(txn: &Txn<'_>, user: UserId) -> Result<bool, TxnError> {
    txn.contains(Table::Deletions, user.as_bytes())
}

fn row_of(txn: &Txn<'_>, user: UserId) -> Result<Row, TxnError> {
    let row = read(txn, Table::Deletions, user.as_bytes())?;
    Ok(row.ok_or_else(|| damaged(Table::Deletions, user.as_bytes(), "it is gone, though it is open"))?)
}

/// The keys of a user in a table in which they begin with their owner.
fn of(user: UserId) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    // Longer than whatever follows the owner in a key that is looked for so.
    let last = [&user.as_bytes()[..], &[0xff; 64]].concat();
    (Bound::Included(user.as_bytes().to_vec()), Bound::Included(last))
}
