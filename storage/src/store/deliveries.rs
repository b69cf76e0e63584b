//! Deliveries and the tables that find them.

use std::ops::Bound;

use atelier_domain::id::{DeliveryId, EndpointId, UserId};
use atelier_domain::store::{
    AfterAttempt, DeliveryKey, DeliveryStore, DueDeliveries, DueDelivery, EndpointStore as _, StoreError,
    SweepPage, SweepPlace, Swept,
};
use atelier_domain::time::Timestamp;
use atelier_domain::webhook::{
    Attempt, Delivery, DeliveryState, EndpointQueue, PENDING_PER_ENDPOINT_MAX, WebhookEndpoint,
};

use super::rows::{read, write};
use super::{Store, webhooks};
use crate::codec::damaged;
use crate::engine::{Txn, TxnError};
use crate::keys;
use crate::schema::Table;

/// Deliveries removed in one transaction.
const REMOVED_AT_ONCE: usize = 128;

fn key_of(delivery: &Delivery) -> DeliveryKey {
    DeliveryKey { endpoint: delivery.endpoint, id: delivery.id }
}

/// Adds a new delivery to what waits for its endpoint; `false`, and counted, if that is too much already.
pub(super) fn queue(txn: &Txn<'_>, delivery: &Delivery) -> Result<bool, TxnError> {
    let key = key_of(delivery);
    let mut queue: EndpointQueue =
        read(txn, Table::WebhookQueues, key.endpoint.as_bytes())?.unwrap_or_default();
    let has_place = queue.pending < PENDING_PER_ENDPOINT_MAX;
    if has_place {
        queue.pending += 1;
        txn.put(Table::DeliveriesById, key.id.as_bytes(), key.endpoint.as_bytes())?;
        write(txn, Table::Deliveries, &keys::delivery(key), delivery)?;
        wait(txn, delivery)?;
    } else {
        queue.dropped += 1;
    }
    write(txn, Table::WebhookQueues, key.endpoint.as_bytes(), &queue)?;
    Ok(has_place)
}

fn wait(txn: &Txn<'_>, delivery: &Delivery) -> Result<(), TxnError> {
    txn.put_key(Table::DeliveriesDue, &keys::due(key_of(delivery), delivery.next_at))?;
    txn.put_key(Table::DeliveriesPending, delivery.id.as_bytes())
}

/// Takes a delivery that is pending out of what waits, as far as its time says where.
fn wait_no_more(txn: &Txn<'_>, delivery: &Delivery) -> Result<(), TxnError> {
    txn.remove(Table::DeliveriesDue, &keys::due(key_of(delivery), delivery.next_at))?;
    txn.remove(Table::DeliveriesPending, delivery.id.as_bytes())?;
    Ok(())
}

/// Counts what waits for an endpoint, unless that was removed.
fn count(txn: &Txn<'_>, endpoint: EndpointId, change: impl Fn(u32) -> u32) -> Result<(), TxnError> {
    let Some(queue) = read::<EndpointQueue>(txn, Table::WebhookQueues, endpoint.as_bytes())? else {
        return Ok(());
    };
    let queue = EndpointQueue { pending: change(queue.pending), ..queue };
    write(txn, Table::WebhookQueues, endpoint.as_bytes(), &queue)
}

fn one_less(count: u32) -> u32 {
    count.saturating_sub(1)
}

/// All keys of an endpoint.
fn of_endpoint(endpoint: EndpointId, tail: usize) -> (Vec<u8>, Vec<u8>) {
    let last = [endpoint.as_bytes().as_slice(), &vec![0xff; tail]].concat();
    (endpoint.as_bytes().to_vec(), last)
}

impl DeliveryStore for Store {
    fn create_delivery(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        self.engine().write(|txn| {
            let unchanged = webhooks::change_endpoint(txn, delivery.owner, delivery.endpoint, &|_| {})?;
            if unchanged.is_none() {
                return Ok(false);
            }
            if txn.contains(Table::DeliveriesById, delivery.id.as_bytes())? {
                return Err(StoreError::Exists { what: format!("delivery {}", delivery.id) }.into());
            }
            queue(txn, delivery)
        })
    }

    fn delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError> {
        let delivery = self.row(Table::Deliveries, &keys::delivery(key))?;
        // It is about to be sent.
        self.engine().settle()?;
        Ok(delivery)
    }

    fn deliveries(
        &self,
        owner: UserId,
        endpoint: EndpointId,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        if self.endpoint(owner, endpoint)?.is_none() {
            return Ok(Vec::new());
        }
        let (first, last) = of_endpoint(endpoint, 16);
        let first = match before {
            Some(id) => Bound::Excluded(keys::delivery(DeliveryKey { endpoint, id }).to_vec()),
            None => Bound::Included(first),
        };
        let mut found = Vec::new();
        for key in self.engine().keys(Table::Deliveries, (first, Bound::Included(last)), limit)? {
            // One that was swept meanwhile is left out.
            found.extend(self.row::<Delivery>(Table::Deliveries, &key)?);
        }
        Ok(found)
    }

    fn send_again(
        &self,
        owner: UserId,
        key: DeliveryKey,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        let row = keys::delivery(key);
        self.engine().write(|txn| {
            let found = read::<Delivery>(txn, Table::Deliveries, &row)?;
            let Some(old) = found.filter(|delivery| delivery.owner == owner) else { return Ok(None) };
            match old.state {
                DeliveryState::Pending => wait_no_more(txn, &old)?,
                DeliveryState::Succeeded | DeliveryState::Failed => count(txn, key.endpoint, |n| n + 1)?,
            }
            let new = Delivery { state: DeliveryState::Pending, tries: 0, next_at: now, ..old };
            write(txn, Table::Deliveries, &row, &new)?;
            wait(txn, &new)?;
            Ok(Some(new))
        })
    }

    fn due_deliveries(
        &self,
        from: Option<EndpointId>,
        now: Timestamp,
        endpoints_max: usize,
        per_endpoint_max: usize,
    ) -> Result<DueDeliveries, StoreError> {
        let mut found = DueDeliveries::default();
        let mut start = from.map_or(Bound::Unbounded, |id| Bound::Included(id.as_bytes().to_vec()));
        let mut visited = 0;
        loop {
            let next = self.engine().keys(Table::DeliveriesDue, (start, Bound::Unbounded), 1)?;
            let Some(next) = next.first() else { return Ok(found) };
            let endpoint = keys::due_of(next)?.0.endpoint;
            if visited == endpoints_max {
                found.next = Some(endpoint);
                return Ok(found);
            }
            visited += 1;
            let (first, last) = of_endpoint(endpoint, 24);
            let range = (Bound::Included(first), Bound::Included(last.clone()));
            let mut owner = None;
            for key in self.engine().keys(Table::DeliveriesDue, range, per_endpoint_max)? {
                let (key, at) = keys::due_of(&key)?;
                if at > now {
                    found.next_at = Some(found.next_at.map_or(at, |soonest| soonest.min(at)));
                    break;
                }
                // An endpoint's deliveries all have its owner: the first that can be read says who that is.
                owner = match owner {
                    None => self.owner_of(key)?,
                    known => known,
                };
                found.due.push(DueDelivery { key, owner });
            }
            start = Bound::Excluded(last);
        }
    }

    fn record_attempt(
        &self,
        key: DeliveryKey,
        attempt: &Attempt,
        retry_at: Option<Timestamp>,
    ) -> Result<Option<AfterAttempt>, StoreError> {
        let row = keys::delivery(key);
        self.engine().write(|txn| {
            let found = read::<Delivery>(txn, Table::Deliveries, &row)?;
            let Some(old) = found.filter(|delivery| delivery.state == DeliveryState::Pending) else {
                return Ok(None);
            };
            wait_no_more(txn, &old)?;
            let mut delivery = old;
            delivery.note(attempt.clone(), retry_at);
            write(txn, Table::Deliveries, &row, &delivery)?;
            match delivery.state {
                DeliveryState::Pending => wait(txn, &delivery)?,
                DeliveryState::Succeeded | DeliveryState::Failed => count(txn, key.endpoint, one_less)?,
            }
            let note = |endpoint: &mut WebhookEndpoint| endpoint.note(attempt);
            let endpoint = webhooks::change_endpoint(txn, delivery.owner, key.endpoint, &note)?;
            Ok(Some(AfterAttempt { delivery, endpoint }))
        })
    }

    fn oldest_pending(&self) -> Result<Option<Timestamp>, StoreError> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        let first = self.engine().keys(Table::DeliveriesPending, all, 1)?;
        first.first().map(|key| Ok(delivery_id(Table::DeliveriesPending, key)?.made())).transpose()
    }

    fn sweep_deliveries(&self, before: Timestamp, page: &SweepPage) -> Result<Swept, StoreError> {
        let mut swept = Swept { next: page.after.clone(), ..Swept::default() };
        let mut left = page.limit;
        while left > 0 {
            let first = swept.next.take().map_or(Bound::Unbounded, |SweepPlace(key)| Bound::Excluded(key));
            let at_once = REMOVED_AT_ONCE.min(left);
            let mut old = Vec::new();
            for key in self.engine().keys(Table::DeliveriesById, (first, Bound::Unbounded), at_once)? {
                let id = delivery_id(Table::DeliveriesById, &key)?;
                if id.made() >= before {
                    break;
                }
                old.push(id);
            }
            self.remove_old(&old, &mut swept)?;
            if old.len() < at_once {
                return Ok(swept);
            }
            swept.next = old.last().map(|id| SweepPlace(id.as_bytes().to_vec()));
            left -= old.len();
        }
        Ok(swept)
    }
}

impl Store {
    /// Whose a delivery is; `None` where it cannot be read, which whoever wants to send it is told.
    fn owner_of(&self, key: DeliveryKey) -> Result<Option<UserId>, StoreError> {
        match self.delivery(key) {
            Ok(delivery) => Ok(delivery.map(|delivery| delivery.owner)),
            Err(StoreError::Damaged(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes deliveries together, those aside that cannot be read.
    fn remove_old(&self, old: &[DeliveryId], swept: &mut Swept) -> Result<(), StoreError> {
        let mut readable = Vec::with_capacity(old.len());
        for id in old {
            // Before the transaction, which one that cannot be read would end for all.
            match self.find_delivery(*id) {
                Ok(_) => readable.push(*id),
                Err(StoreError::Damaged(why)) => swept.unreadable.push(why),
                Err(error) => return Err(error),
            }
        }
        self.engine().write_soon(|txn| readable.iter().try_for_each(|id| remove(txn, *id)))?;
        swept.removed += readable.len();
        Ok(())
    }

    /// A delivery by its id alone.
    pub(super) fn find_delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        match self.engine().get(Table::DeliveriesById, id.as_bytes())? {
            Some(row) => self.row(Table::Deliveries, &keys::delivery(place_of(id, &row)?)),
            None => Ok(None),
        }
    }
}

/// Removes a delivery and whatever leads to it.
pub(super) fn remove(txn: &Txn<'_>, id: DeliveryId) -> Result<(), TxnError> {
    let Some(endpoint) = txn.get(Table::DeliveriesById, id.as_bytes())? else { return Ok(()) };
    let key = place_of(id, &endpoint)?;
    let row = keys::delivery(key);
    if let Some(delivery) = read::<Delivery>(txn, Table::Deliveries, &row)? {
        if delivery.state == DeliveryState::Pending {
            wait_no_more(txn, &delivery)?;
            count(txn, key.endpoint, one_less)?;
        }
        txn.remove(Table::Deliveries, &row)?;
    }
    txn.remove(Table::DeliveriesById, id.as_bytes()).map(|_| ())
}

/// The key of a delivery by its row among all deliveries' ids.
fn place_of(id: DeliveryId, row: &[u8]) -> Result<DeliveryKey, StoreError> {
    let no_id = || damaged(Table::DeliveriesById, id.as_bytes(), "it holds no endpoint's id");
    Ok(DeliveryKey { endpoint: EndpointId::from_bytes(*row.as_array().ok_or_else(no_id)?), id })
}

pub(super) fn delivery_id(table: Table, key: &[u8]) -> Result<DeliveryId, StoreError> {
    let id = key.as_array().ok_or_else(|| damaged(table, key, "it is no delivery's id"))?;
    Ok(DeliveryId::from_bytes(*id))
}
