use std::ops::Bound;

use atelier_domain::id::{LinkId, UserId};
use atelier_domain::link::Link;
use atelier_domain::store::{LinkStore, Overdue, StoreError, SweepPage};
use atelier_domain::time::Timestamp;

use super::Store;
use super::deletions::refuse_deleted;
use super::rows::read;
use crate::codec::{decode, encode};
use crate::engine::{Txn, TxnError};
use crate::keys::files as keys;
use crate::schema::Table;

impl LinkStore for Store {
    fn create_link(&self, link: &Link) -> Result<(), StoreError> {
        let row = encode(Table::Links, link)?;
        self.engine().write(|txn| {
            if txn.contains(Table::Links, link.id.as_bytes())? {
                return Err(StoreError::Exists { what: format!("link {}", link.id) }.into());
            }
            refuse_deleted(txn, link.owner)?;
            txn.put(Table::Links, link.id.as_bytes(), &row)?;
            index(link).iter().try_for_each(|(table, key)| txn.put_key(*table, key))
        })
    }

    fn link(&self, id: LinkId) -> Result<Option<Link>, StoreError> {
        let key = id.as_bytes();
        self.engine().get(Table::Links, key)?.map(|row| decode(Table::Links, key, &row)).transpose()
    }

    fn links_of(&self, owner: UserId, before: Option<LinkId>, limit: usize) -> Result<Vec<Link>, StoreError> {
        let first = match before {
            Some(id) => Bound::Excluded(keys::owned_link(owner, id).to_vec()),
            None => Bound::Included(owner.as_bytes().to_vec()),
        };
        let last = Bound::Included([*owner.as_bytes(), [0xff; 16]].concat());
        let mut links = Vec::new();
        for key in self.engine().keys(Table::LinksByOwner, (first, last), limit)? {
            // One that was removed since its key was read is left out.
            links.extend(self.link(keys::link_of_owned(&key)?)?);
        }
        Ok(links)
    }

    fn link_count(&self, owner: UserId) -> Result<usize, StoreError> {
        self.engine().count(Table::LinksByOwner, owner.as_bytes())
    }

    fn remove_link(&self, owner: UserId, id: LinkId) -> Result<bool, StoreError> {
        self.engine().write(|txn| remove(txn, owner, id))
    }

    fn expired_links(&self, now: Timestamp, page: &SweepPage) -> Result<Overdue<Link>, StoreError> {
        self.swept(Table::LinksExpiring, now, page, |key| {
            self.link(LinkId::from_bytes(keys::id_of_ending(Table::LinksExpiring, key)?))
        })
    }
}

/// Removes the owner's link; `false` if they have none such.
pub(super) fn remove(txn: &Txn<'_>, owner: UserId, id: LinkId) -> Result<bool, TxnError> {
    let link: Option<Link> = read(txn, Table::Links, id.as_bytes())?;
    let Some(link) = link.filter(|link| link.owner == owner) else { return Ok(false) };
    for (table, key) in index(&link) {
        txn.remove(table, &key)?;
    }
    txn.remove(Table::Links, id.as_bytes())
}

/// The keys that lead to a link, beside its own.
fn index(link: &Link) -> [(Table, Vec<u8>); 2] {
    [
        (Table::LinksByOwner, keys::owned_link(link.owner, link.id).to_vec()),
        (Table::LinksExpiring, keys::ending(link.expires, link.id.as_bytes()).to_vec()),
    ]
}
