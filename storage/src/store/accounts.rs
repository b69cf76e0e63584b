use std::ops::Bound;

use atelier_domain::account::{ApiKey, KeyDigest, User};
use atelier_domain::id::{KeyId, UserId};
use atelier_domain::store::{AccountStore, StoreError};
use atelier_domain::time::Timestamp;

use super::Store;
use super::deletions::{is_deleted, refuse_deleted};
use crate::codec::{damaged, decode, encode};
use crate::engine::{Txn, TxnError};
use crate::keys;
use crate::schema::Table;

impl AccountStore for Store {
    fn create_user(&self, user: &User) -> Result<(), StoreError> {
        let (id, name) = (user.id.as_bytes(), keys::user_name(&user.name)?);
        let row = encode(Table::Users, user)?;
        self.engine().write(|txn| {
            if txn.contains(Table::UserNames, name)? {
                return Err(StoreError::Exists { what: format!("user {:?}", user.name) }.into());
            }
            if txn.contains(Table::Users, id)? {
                return Err(StoreError::Exists { what: format!("user {}", user.id) }.into());
            }
            txn.put(Table::UserNames, name, id)?;
            txn.put(Table::Users, id, &row)
        })
    }

    fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let key = id.as_bytes();
        self.engine().get(Table::Users, key)?.map(|row| decode(Table::Users, key, &row)).transpose()
    }

    fn user_by_name(&self, name: &str) -> Result<Option<User>, StoreError> {
        let key = keys::user_name(name)?;
        let Some(id) = self.engine().get(Table::UserNames, key)? else { return Ok(None) };
        let id = id.as_array().ok_or_else(|| damaged(Table::UserNames, key, "it holds no user id"))?;
        let user = self.user(UserId::from_bytes(*id))?;
        Ok(Some(user.ok_or_else(|| damaged(Table::UserNames, key, "its user is gone"))?))
    }

    fn update_user(&self, user: &User) -> Result<bool, StoreError> {
        let id = user.id.as_bytes();
        let row = encode(Table::Users, user)?;
        self.engine().write(|txn| {
            let Some(old) = txn.get(Table::Users, id)? else { return Ok(false) };
            if is_deleted(txn, user.id)? {
                return Ok(false);
            }
            if decode::<User>(Table::Users, id, &old)?.name != user.name {
                let what = format!("the name of user {}, which must stay,", user.id);
                return Err(StoreError::Conflict { what }.into());
            }
            txn.put(Table::Users, id, &row)?;
            Ok(true)
        })
    }

    fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        let first = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_bytes().to_vec()));
        let keys = self.engine().keys(Table::Users, (first, Bound::Unbounded), limit)?;
        let mut users = Vec::with_capacity(keys.len());
        for key in keys {
            let row = self.engine().get(Table::Users, &key)?;
            let row =
                row.ok_or_else(|| damaged(Table::Users, &key, "it is gone, though users are never removed"))?;
            users.push(decode(Table::Users, &key, &row)?);
        }
        Ok(users)
    }

    fn create_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let (digest, owned) = (&key.digest.0, keys::owned_key(key.user, key.id));
        let row = encode(Table::Keys, key)?;
        self.engine().write(|txn| {
            if !txn.contains(Table::Users, key.user.as_bytes())? {
                return Err(
                    StoreError::Conflict { what: format!("user {}, who does not exist,", key.user) }.into()
                );
            }
            refuse_deleted(txn, key.user)?;
            if txn.contains(Table::Keys, digest)? || txn.contains(Table::KeysByOwner, &owned)? {
                return Err(StoreError::Exists { what: format!("key {}", key.id) }.into());
            }
            txn.put(Table::Keys, digest, &row)?;
            txn.put(Table::KeysByOwner, &owned, digest)
        })
    }

    fn key_by_digest(&self, digest: &KeyDigest) -> Result<Option<(ApiKey, User)>, StoreError> {
        let engine = self.engine();
        let Some(mut row) = engine.get(Table::Keys, &digest.0)? else { return Ok(None) };
        loop {
            let key: ApiKey = decode(Table::Keys, &digest.0, &row)?;
            let user = self.user(key.user)?;
            // An unchanged key was as it is when its user was read: both are of one moment, without a lock.
            let again = engine.get(Table::Keys, &digest.0)?;
            if again.as_ref() == Some(&row) {
                let user = user.ok_or_else(|| damaged(Table::Keys, &digest.0, "its user is gone"))?;
                return Ok(Some((key, user)));
            }
            let Some(newer) = again else { return Ok(None) };
            row = newer;
        }
    }

    fn key(&self, owner: UserId, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
        let owned = keys::owned_key(owner, id);
        let Some(digest) = self.engine().get(Table::KeysByOwner, &owned)? else { return Ok(None) };
        let row = self.engine().get(Table::Keys, &digest)?;
        row.map(|row| decode(Table::Keys, &digest, &row)).transpose()
    }

    fn keys(&self, owner: UserId, after: Option<KeyId>, limit: usize) -> Result<Vec<ApiKey>, StoreError> {
        let first = match after {
            Some(id) => Bound::Excluded(keys::owned_key(owner, id).to_vec()),
            None => Bound::Included(owner.as_bytes().to_vec()),
        };
        let last = Bound::Included([*owner.as_bytes(), [0xff; 16]].concat());
        let mut found = Vec::new();
        for owned in self.engine().keys(Table::KeysByOwner, (first, last), limit)? {
            // Keys go with their user alone: one that is gone since its key was read is left out.
            let Some(digest) = self.engine().get(Table::KeysByOwner, &owned)? else { continue };
            let row = self.engine().get(Table::Keys, &digest)?;
            found.extend(row.map(|row| decode(Table::Keys, &digest, &row)).transpose()?);
        }
        Ok(found)
    }

    fn revoke_key(&self, owner: UserId, id: KeyId, when: Timestamp) -> Result<bool, StoreError> {
        // The first revocation stands.
        self.engine().write(|txn| change_key(txn, owner, id, |key| key.revoked = key.revoked.or(Some(when))))
    }

    fn touch_key(&self, owner: UserId, id: KeyId, when: Timestamp) -> Result<(), StoreError> {
        let touch = |key: &mut ApiKey| key.last_used = key.last_used.max(Some(when));
        self.engine().write_soon(|txn| change_key(txn, owner, id, touch)).map(|_| ())
    }
}

/// Changes the owner's key; `false` if they have none such.
fn change_key(
    txn: &Txn<'_>,
    owner: UserId,
    id: KeyId,
    change: impl FnOnce(&mut ApiKey),
) -> Result<bool, TxnError> {
    let owned = keys::owned_key(owner, id);
    let Some(digest) = txn.get(Table::KeysByOwner, &owned)? else { return Ok(false) };
    let row = txn.get(Table::Keys, &digest)?;
    let row = row.ok_or_else(|| damaged(Table::KeysByOwner, &owned, "its key is gone"))?;
    let mut key: ApiKey = decode(Table::Keys, &digest, &row)?;
    change(&mut key);
    txn.put(Table::Keys, &digest, &encode(Table::Keys, &key)?)?;
    Ok(true)
}
