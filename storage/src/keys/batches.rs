//! Keys of batches and of their lines.

use atelier_domain::id::{BatchId, UserId};
use atelier_domain::store::StoreError;

use super::{ID, join, split};
use crate::schema::Table;

/// Owner, then batch, inverted: one owner's batches lie together, newest first.
pub(crate) fn owned(owner: UserId, id: BatchId) -> [u8; 2 * ID] {
    join(owner.as_bytes(), &id.as_bytes().map(|byte| !byte))
}

/// The batch of a key made by [`owned`].
pub(crate) fn batch_of_owned(key: &[u8]) -> Result<BatchId, StoreError> {
    let (_, id) = split::<ID, ID>(Table::BatchesByOwner, key)?;
    Ok(BatchId::from_bytes(id.map(|byte| !byte)))
}

/// Batch, then the line's number: the lines of one batch lie together in their order.
pub(crate) fn line(batch: BatchId, number: u32) -> [u8; ID + 4] {
    join(batch.as_bytes(), &number.to_be_bytes())
}

/// The number of a key made by [`line`].
pub(crate) fn number_of_line(key: &[u8]) -> Result<u32, StoreError> {
    let (_, number) = split::<ID, 4>(Table::BatchLines, key)?;
    Ok(u32::from_be_bytes(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_sort_as_they_are_listed_and_give_back_what_they_were_made_of(
            a: ([u8; 16], [u8; 16], u32),
            b: ([u8; 16], [u8; 16], u32),
        ) {
            let listed = |(owner, id, _)| owned(UserId::from_bytes(owner), BatchId::from_bytes(id));
            prop_assert_eq!(listed(a).cmp(&listed(b)), a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
            prop_assert_eq!(batch_of_owned(&listed(a)).expect("well-formed"), BatchId::from_bytes(a.1));
            let lines = |(_, id, number)| line(BatchId::from_bytes(id), number);
            prop_assert_eq!(lines(a).cmp(&lines(b)), (a.1, a.2).cmp(&(b.1, b.2)));
            prop_assert_eq!(number_of_line(&lines(a)).expect("well-formed"), a.2);
        }
    }
}
