use std::ops::Bound;

use atelier_domain::id::{LinkId, UserId};
use atelier_domain::link::Link;
use atelier_domain::store::{LinkStore, Overdue, StoreError, SweepPage};
use atelier_domain::time::Timestamp;

use super::Store;
use crate::codec::{decode, encode};
use crate::keys::files as keys;
use crate::schema::Table;

impl LinkStore for Store {
    fn create_link(&self, link: &Link) -> Result<(), StoreError> {
        let row = encode(Table::Links, link)?;
        self.engine().write(|txn| {
            if txn.contains(Table::Links, link.id.as_bytes())? {
                return Err(StoreError::Exists { what: format!("link {}", link.id) }.into());
            }
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
        self.engine().write(|txn| {
            let Some(row) = txn.get(Table::Links, id.as_bytes())? else { return Ok(false) };
            let link: Link = decode(Table::Links, id.as_bytes(), &row)?;
            if link.owner != owner {
                return Ok(false);
            }
            txn.remove(Table::Links, id.as_bytes())?;
            for (table, key) in index(&link) {
                txn.remove(table, &key)?;
            }
            Ok(true)
        })
    }

    fn expired_links(&self, now: Timestamp, page: &SweepPage) -> Result<Overdue<Link>, StoreError> {
        self.swept(Table::LinksExpiring, now, page, |key| {
            self.link(LinkId::from_bytes(keys::id_of_ending(Table::LinksExpiring, key)?))
        })
    }
}

/// The keys that lead to a link, beside its own.
fn index(link: &Link) -> [(Table, Vec<u8>); 2] {
    [
        (Table::LinksByOwner, keys::owned_link(link.owner, link.id).to_vec()),
        (Table::LinksExpiring, keys::ending(link.expires, link.id.as_bytes()).to_vec()),
    ]
}
