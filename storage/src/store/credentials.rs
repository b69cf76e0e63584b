use std::ops::Bound;

use atelier_domain::account::User;
use atelier_domain::account::session::{Credentials, PasswordHash, Session};
use atelier_domain::account::token::TokenDigest;
use atelier_domain::id::{SessionId, UserId};
use atelier_domain::store::{AccountStore as _, CredentialStore, StoreError};
use atelier_domain::time::Timestamp;

use super::Store;
use super::deletions::is_deleted;
use super::rows::{read, write};
use crate::codec::damaged;
use crate::engine::{Txn, TxnError};
use crate::keys::files::ending;
use crate::keys::owned_session;
use crate::schema::Table;

impl CredentialStore for Store {
    fn credentials(&self, user: UserId) -> Result<Credentials, StoreError> {
        Ok(self.row(Table::Credentials, user.as_bytes())?.unwrap_or_default())
    }

    fn set_password(
        &self,
        user: UserId,
        password: &PasswordHash,
        when: Timestamp,
        held: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        self.engine().write(|txn| {
            if !txn.contains(Table::Users, user.as_bytes())? || is_deleted(txn, user)? {
                return Ok(None);
            }
            let found: Option<Credentials> = read(txn, Table::Credentials, user.as_bytes())?;
            let version = found.unwrap_or_default().version;
            if held.is_some_and(|held| held != version) {
                return Err(over(user));
            }
            change(txn, user, |credentials| {
                credentials.password = Some(password.clone());
                credentials.changed = Some(when);
                credentials.version = version + 1;
            })?;
            Ok(Some(version + 1))
        })
    }

    fn rehash(&self, user: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<bool, StoreError> {
        self.engine().write_soon(|txn| {
            let found: Option<Credentials> = read(txn, Table::Credentials, user.as_bytes())?;
            if found.is_none_or(|credentials| credentials.password.as_ref() != Some(old)) {
                return Ok(false);
            }
            change(txn, user, |credentials| credentials.password = Some(new.clone()))?;
            Ok(true)
        })
    }

    fn create_session(&self, session: &Session, max: usize) -> Result<(), StoreError> {
        let owned = self.engine().keys(Table::SessionsByOwner, of(session.user), usize::MAX)?;
        let surplus = (owned.len() + 1).saturating_sub(max).min(owned.len());
        let key = owned_session(session.user, session.id);
        self.engine().write(|txn| {
            let version = read::<Credentials>(txn, Table::Credentials, session.user.as_bytes())?;
            let is_held = version.unwrap_or_default().version == session.version;
            let is_there = txn.contains(Table::Users, session.user.as_bytes())?;
            if !is_held || !is_there || is_deleted(txn, session.user)? {
                return Err(over(session.user));
            }
            if txn.contains(Table::Sessions, &session.digest.0)?
                || txn.contains(Table::SessionsByOwner, &key)?
            {
                return Err(StoreError::Exists { what: format!("session {}", session.id) }.into());
            }
            for oldest in &owned[..surplus] {
                remove(txn, oldest)?;
            }
            write(txn, Table::Sessions, &session.digest.0, session)?;
            txn.put(Table::SessionsByOwner, &key, &session.digest.0)?;
            txn.put(
                Table::SessionsExpiring,
                &ending(session.expires, session.id.as_bytes()),
                &session.digest.0,
            )
        })
    }

    fn session_by_digest(&self, digest: &TokenDigest) -> Result<Option<(Session, User)>, StoreError> {
        let Some(session) = self.row::<Session>(Table::Sessions, &digest.0)? else { return Ok(None) };
        let user = self.user(session.user)?;
        let user = user.ok_or_else(|| damaged(Table::Sessions, &digest.0, "its user is gone"))?;
        // Read last: whatever ended it before then is seen.
        let is_held = self.credentials(session.user)?.version == session.version;
        Ok(is_held.then_some((session, user)))
    }

    fn sessions_of(&self, owner: UserId) -> Result<Vec<Session>, StoreError> {
        let version = self.credentials(owner)?.version;
        let mut sessions: Vec<Session> = Vec::new();
        for key in self.engine().keys_back(Table::SessionsByOwner, of(owner), usize::MAX)? {
            // One that ended since its key was read is left out.
            let Some(digest) = self.engine().get(Table::SessionsByOwner, &key)? else { continue };
            sessions.extend(self.row(Table::Sessions, &digest)?);
        }
        sessions.retain(|session| session.version == version);
        Ok(sessions)
    }

    fn touch_session(&self, digest: &TokenDigest, when: Timestamp) -> Result<(), StoreError> {
        self.engine().write_soon(|txn| {
            let Some(mut session) = read::<Session>(txn, Table::Sessions, &digest.0)? else { return Ok(()) };
            session.last_used = session.last_used.max(when);
            write(txn, Table::Sessions, &digest.0, &session)
        })
    }

    fn end_session(&self, owner: UserId, id: SessionId) -> Result<bool, StoreError> {
        self.engine().write(|txn| remove(txn, &owned_session(owner, id)))
    }

    fn end_sessions(&self, user: UserId) -> Result<(), StoreError> {
        self.engine().write(|txn| match is_deleted(txn, user)? {
            // They ended with their user.
            true => Ok(()),
            false => change(txn, user, |credentials| credentials.version += 1),
        })
    }

    fn sweep_sessions(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let range = (Bound::Unbounded, Bound::Included(ending(now, &[0xff; 16]).to_vec()));
        let over = self.engine().keys(Table::SessionsExpiring, range, limit)?;
        for key in &over {
            self.engine().write_soon(|txn| {
                let Some(digest) = txn.get(Table::SessionsExpiring, key)? else { return Ok(false) };
                match read::<Session>(txn, Table::Sessions, &digest)? {
                    Some(session) => remove(txn, &owned_session(session.user, session.id)),
                    None => Err(damaged(Table::SessionsExpiring, key, "its session is gone").into()),
                }
            })?;
        }
        Ok(over.len())
    }
}

fn over(user: UserId) -> TxnError {
    StoreError::Conflict { what: format!("what user {user} signs in with") }.into()
}

fn of(owner: UserId) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let last = [*owner.as_bytes(), [0xff; 16]].concat();
    (Bound::Included(owner.as_bytes().to_vec()), Bound::Included(last))
}

fn change(txn: &Txn<'_>, user: UserId, change: impl Fn(&mut Credentials)) -> Result<(), TxnError> {
    let found: Option<Credentials> = read(txn, Table::Credentials, user.as_bytes())?;
    let mut credentials = found.unwrap_or_default();
    change(&mut credentials);
    write(txn, Table::Credentials, user.as_bytes(), &credentials)
}

/// Removes a session by its key among its owner's; `false` if there is none.
pub(super) fn remove(txn: &Txn<'_>, owned: &[u8]) -> Result<bool, TxnError> {
    let Some(digest) = txn.get(Table::SessionsByOwner, owned)? else { return Ok(false) };
    let session: Option<Session> = read(txn, Table::Sessions, &digest)?;
    let session = session.ok_or_else(|| damaged(Table::SessionsByOwner, owned, "its session is gone"))?;
    txn.remove(Table::SessionsByOwner, owned)?;
    txn.remove(Table::SessionsExpiring, &ending(session.expires, session.id.as_bytes()))?;
    txn.remove(Table::Sessions, &digest)
}
