//! Messages of conversations that were removed. Each goes in a transaction of its own, since it may have a thousand words.

use std::ops::Bound;

use atelier_domain::conversation::StoredMessage;
use atelier_domain::id::UserId;
use atelier_domain::store::StoreError;

use super::{Shelf, exchange};
use crate::codec::damaged;
use crate::engine::Engine;
use crate::schema::Table;
use crate::store::rows::read;

pub(super) fn messages(engine: &Engine, limit: usize) -> Result<usize, StoreError> {
    let removed = engine.keys(Table::ConversationsRemoved, (Bound::Unbounded, Bound::Unbounded), limit)?;
    let mut count = 0;
    for id in removed {
        let first = Bound::Included(id.clone());
        let last = Bound::Included([&id[..], &[0xff; 16]].concat());
        let keys = engine.keys(Table::ChatMessages, (first, last), limit - count)?;
        for key in &keys {
            remove(engine, &id, key)?;
        }
        count += keys.len();
        if count >= limit {
            break;
        }
        // All are gone, and none can come: its row is gone before them.
        engine.write_soon(|txn| txn.remove(Table::ConversationsRemoved, &id))?;
    }
    engine.make_durable()?;
    Ok(count)
}

fn remove(engine: &Engine, id: &[u8], key: &[u8]) -> Result<(), StoreError> {
    engine.write_soon(|txn| {
        let Some(owner) = txn.get(Table::ConversationsRemoved, id)? else { return Ok(()) };
        let owner = owner.as_array().map(|owner| UserId::from_bytes(*owner));
        let owner = owner.ok_or_else(|| damaged(Table::ConversationsRemoved, id, "it names no owner"))?;
        let Some(message) = read::<StoredMessage>(txn, Table::ChatMessages, key)? else { return Ok(()) };
        let mut shelf = Shelf::read(txn, owner)?;
        exchange::remove(txn, &mut shelf, owner, &message)?;
        shelf.write(txn, owner)
    })
}
