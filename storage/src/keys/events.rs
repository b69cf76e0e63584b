//! Keys of events, deliveries and callbacks.

use atelier_domain::id::{DeliveryId, EndpointId, UserId};
use atelier_domain::store::{CallbackMark, DeliveryKey, StoreError};
use atelier_domain::time::Timestamp;

use super::{ID, join, split};
use crate::schema::Table;

/// Owner, then number: the events of one owner lie together in their order.
pub(crate) fn event(owner: UserId, number: u64) -> [u8; ID + 8] {
    join(owner.as_bytes(), &number.to_be_bytes())
}

/// Endpoint, then delivery, inverted: the deliveries of one endpoint lie together, newest first.
pub(crate) fn delivery(key: DeliveryKey) -> [u8; 2 * ID] {
    join(key.endpoint.as_bytes(), &key.id.as_bytes().map(|byte| !byte))
}

/// Endpoint, time, delivery: what is due first for an endpoint lies first among its own.
pub(crate) fn due(key: DeliveryKey, at: Timestamp) -> [u8; ID + 8 + ID] {
    let tail: [u8; 8 + ID] = join(&at.0.to_be_bytes(), key.id.as_bytes());
    join(key.endpoint.as_bytes(), &tail)
}

/// What [`due`] was made of.
pub(crate) fn due_of(key: &[u8]) -> Result<(DeliveryKey, Timestamp), StoreError> {
    let (endpoint, tail) = split::<ID, { 8 + ID }>(Table::DeliveriesDue, key)?;
    let (at, id) = split::<8, ID>(Table::DeliveriesDue, &tail)?;
    let key = DeliveryKey { endpoint: EndpointId::from_bytes(endpoint), id: DeliveryId::from_bytes(id) };
    Ok((key, Timestamp(u64::from_be_bytes(at))))
}

/// Period, then mark: the oldest lie first.
pub(crate) fn callback_mark(period: u64, mark: CallbackMark) -> [u8; 8 + 32] {
    join(&period.to_be_bytes(), &mark.0)
}

/// The period of a key made by [`callback_mark`].
pub(crate) fn period_of(key: &[u8]) -> Result<u64, StoreError> {
    let (period, _) = split::<8, 32>(Table::CallbackMarks, key)?;
    Ok(u64::from_be_bytes(period))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn delivery_key(endpoint: [u8; 16], id: [u8; 16]) -> DeliveryKey {
        DeliveryKey { endpoint: EndpointId::from_bytes(endpoint), id: DeliveryId::from_bytes(id) }
    }

    proptest! {
        #[test]
        fn events_lie_by_owner_in_their_order(a: ([u8; 16], u64), b: ([u8; 16], u64)) {
            let key = |(owner, number)| event(UserId::from_bytes(owner), number);
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }

        #[test]
        fn deliveries_lie_by_endpoint_newest_first_and_due_ones_earliest_first(
            a: ([u8; 16], u64, [u8; 16]),
            b: ([u8; 16], u64, [u8; 16]),
        ) {
            let (one, other) = (delivery_key(a.0, a.2), delivery_key(b.0, b.2));
            prop_assert_eq!(delivery(one).cmp(&delivery(other)), a.0.cmp(&b.0).then(b.2.cmp(&a.2)));
            prop_assert_eq!(due(one, Timestamp(a.1)).cmp(&due(other, Timestamp(b.1))), a.cmp(&b));
            prop_assert_eq!(due_of(&due(one, Timestamp(a.1))).expect("well-formed"), (one, Timestamp(a.1)));
        }

        #[test]
        fn a_mark_gives_back_its_period(period: u64, mark: [u8; 32]) {
            prop_assert_eq!(period_of(&callback_mark(period, CallbackMark(mark))).expect("well-formed"), period);
        }
    }
}
