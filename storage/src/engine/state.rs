//! The row that every commit rewrites.

use atelier_domain::store::StoreError;

use crate::schema::Table;

/// What the last commit left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// 0 in a database that was never written to.
    pub(crate) schema: u32,
    /// Commits so far.
    pub(crate) commit: u64,
    /// Rows in all tables.
    pub(crate) rows: u64,
    /// Sum of the rows' hashes, so that a commit needs to know only the rows that it changes.
    pub(crate) sum: u128,
}

const BYTES: usize = 4 + 8 + 8 + 16;

impl State {
    pub(crate) fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..4].copy_from_slice(&self.schema.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.commit.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.rows.to_be_bytes());
        bytes[20..].copy_from_slice(&self.sum.to_be_bytes());
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, StoreError> {
        let parse = || {
            let (schema, rest) = bytes.split_first_chunk()?;
            let (commit, rest) = rest.split_first_chunk()?;
            let (rows, rest) = rest.split_first_chunk()?;
            Some(Self {
                schema: u32::from_be_bytes(*schema),
                commit: u64::from_be_bytes(*commit),
                rows: u64::from_be_bytes(*rows),
                sum: u128::from_be_bytes(*rest.as_array()?),
            })
        };
        parse().ok_or_else(|| StoreError::Damaged(format!("row state of meta has {} bytes", bytes.len())))
    }

    pub(crate) fn add(&mut self, table: Table, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash(table, key, value));
    }

    pub(crate) fn subtract(&mut self, table: Table, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hash(table, key, value));
    }
}

fn hash(table: Table, key: &[u8], value: &[u8]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[table as u8]).update(&(key.len() as u64).to_be_bytes()).update(key).update(value);
    let mut head = [0; 16];
    head.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_be_bytes(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_state_is_read_as_it_was_written(schema: u32, commit: u64, rows: u64, sum: u128) {
            let state = State { schema, commit, rows, sum };
            prop_assert_eq!(State::parse(&state.to_bytes()).expect("well-formed"), state);
        }

        #[test]
        fn the_sum_forgets_the_order_but_no_row(rows: Vec<(Vec<u8>, Vec<u8>)>) {
            let mut there = State::default();
            rows.iter().for_each(|(key, value)| there.add(Table::Jobs, key, value));
            let mut back = there;
            rows.iter().rev().for_each(|(key, value)| back.subtract(Table::Jobs, key, value));
            prop_assert_eq!(back, State::default());
            let mut more = there;
            more.add(Table::Users, b"k", b"v");
            prop_assert_ne!(more, there);
        }
    }
}
