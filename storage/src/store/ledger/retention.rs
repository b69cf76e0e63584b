//! Forgetting usage records. A record's key holds when it was made, so that the old ones of a user lie together and no other row is read.

use std::ops::Bound;

use atelier_domain::id::UserId;
use atelier_domain::store::StoreError;
use atelier_domain::time::Timestamp;

use crate::codec::damaged;
use crate::engine::Engine;
use crate::keys;
use crate::schema::Table;

/// Rows removed in one transaction.
const REMOVED_AT_ONCE: usize = 256;

/// Removes records that were made before a time, `limit` at most.
pub(super) fn sweep(engine: &Engine, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let mut removed = 0;
    let mut next = Bound::Unbounded;
    while let Some(key) = engine.keys(Table::Usage, (next, Bound::Unbounded), 1)?.pop() {
        let owner =
            key.first_chunk().ok_or_else(|| damaged(Table::Usage, &key, "it begins with no user's id"))?;
        let owner = UserId::from_bytes(*owner);
        removed += sweep_owner(engine, owner, before, limit - removed)?;
        if removed == limit {
            break;
        }
        next = Bound::Excluded(oldest(owner));
    }
    Ok(removed)
}

fn sweep_owner(engine: &Engine, owner: UserId, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let mut removed = 0;
    while removed < limit {
        let at_once = REMOVED_AT_ONCE.min(limit - removed);
        let first = keys::newest_first(owner, &least_id(before)).to_vec();
        let old =
            engine.keys(Table::Usage, (Bound::Excluded(first), Bound::Included(oldest(owner))), at_once)?;
        engine.write_soon(|txn| old.iter().try_for_each(|key| txn.remove(Table::Usage, key).map(drop)))?;
        removed += old.len();
        if old.len() < at_once {
            break;
        }
    }
    Ok(removed)
}

/// Behind all of a user's records.
fn oldest(owner: UserId) -> Vec<u8> {
    keys::newest_first(owner, &[0; 16]).to_vec()
}

/// The least id of version 7 that can be made at a time (RFC 9562 §5.7: it begins with 48 bits of milliseconds).
fn least_id(at: Timestamp) -> [u8; 16] {
    let mut id = [0; 16];
    let time = at.0.min((1 << 48) - 1) << 16;
    id[..8].copy_from_slice(&time.to_be_bytes());
    id
}
