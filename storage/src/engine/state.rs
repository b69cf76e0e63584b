//! The row that every commit rewrites.

use atelier_domain::store::StoreError;

use crate::schema::{GROUPS, Table};

/// How many rows there are, and the sum of their hashes, so that a commit needs to know only the rows that it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) rows: u64,
    pub(crate) hashes: u128,
}

/// One [`Sum`] for each group of tables ([`Table::group`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums([Sum; GROUPS]);

/// What the last commit left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// 0 in a database that was never written to.
    pub(crate) schema: u32,
    /// Commits so far.
    pub(crate) commit: u64,
    /// Of all rows of all tables.
    pub(crate) sums: Sums,
}

/// A stored state, in either of its forms.
#[expect(clippy::large_enum_variant, reason = "one is made when a database is opened")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Current(State),
    /// The older form: one sum over all tables.
    Single {
        schema: u32,
        commit: u64,
        all: Sum,
    },
}

const HEAD_BYTES: usize = 4 + 8;
const SUM_BYTES: usize = 8 + 16;
const BYTES: usize = HEAD_BYTES + GROUPS * SUM_BYTES;

impl Sums {
    /// Rows of all groups.
    pub(crate) fn rows(&self) -> u64 {
        self.0.iter().fold(0, |rows, sum| rows.wrapping_add(sum.rows))
    }

    pub(crate) fn group(&self, group: usize) -> Sum {
        self.0[group]
    }

    /// One sum over all groups.
    pub(crate) fn total(&self) -> Sum {
        self.0.iter().fold(Sum::default(), |all, sum| Sum {
            rows: all.rows.wrapping_add(sum.rows),
            hashes: all.hashes.wrapping_add(sum.hashes),
        })
    }

    pub(crate) fn add(&mut self, table: Table, key: &[u8], value: &[u8]) {
        let sum = &mut self.0[table.group()];
        sum.rows = sum.rows.wrapping_add(1);
        sum.hashes = sum.hashes.wrapping_add(hash(table, key, value));
    }

    pub(crate) fn subtract(&mut self, table: Table, key: &[u8], value: &[u8]) {
        let sum = &mut self.0[table.group()];
        sum.rows = sum.rows.wrapping_sub(1);
        sum.hashes = sum.hashes.wrapping_sub(hash(table, key, value));
    }

    /// Adds differences, group by group.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            sum.rows = sum.rows.wrapping_add(more.rows);
            sum.hashes = sum.hashes.wrapping_add(more.hashes);
        }
    }

    /// What differs from what was committed, in words; `None` if nothing does.
    pub(crate) fn differences(&self, committed: &Self) -> Option<String> {
        let differing: Vec<_> = (0..GROUPS)
            .filter(|&group| self.0[group] != committed.0[group])
            .map(|group| {
                let tables: Vec<_> =
                    Table::ALL.iter().filter(|t| t.group() == group).map(|t| t.name()).collect();
                let (found, wanted) = (self.0[group].rows, committed.0[group].rows);
                let what = if found == wanted {
                    "other contents than were committed".to_owned()
                } else {
                    format!("{found} rows where {wanted} were committed")
                };
                format!("the tables {} hold {what}", tables.join(", "))
            })
            .collect();
        (!differing.is_empty()).then(|| differing.join("; "))
    }
}

impl State {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(&self.schema.to_be_bytes());
        bytes.extend_from_slice(&self.commit.to_be_bytes());
        for sum in self.sums.0 {
            bytes.extend_from_slice(&sum.rows.to_be_bytes());
            bytes.extend_from_slice(&sum.hashes.to_be_bytes());
        }
        bytes
    }

    /// A state of the current form; the others are brought to it when a database is opened.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, StoreError> {
        match Found::parse(bytes)? {
            Found::Current(state) => Ok(state),
            Found::Single { .. } => {
                Err(StoreError::Damaged("row state of meta has its older form".to_owned()))
            }
        }
    }
}

impl Found {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, StoreError> {
        let parse = || {
            let (schema, rest) = bytes.split_first_chunk()?;
            let (commit, rest) = rest.split_first_chunk()?;
            let (schema, commit) = (u32::from_be_bytes(*schema), u64::from_be_bytes(*commit));
            let (sums, rest) = rest.as_chunks::<SUM_BYTES>();
            match (sums, rest) {
                ([all], []) => Some(Self::Single { schema, commit, all: sum(all)? }),
                (sums, []) if sums.len() == GROUPS => {
                    let mut state = State { schema, commit, sums: Sums::default() };
                    for (group, bytes) in state.sums.0.iter_mut().zip(sums) {
                        *group = sum(bytes)?;
                    }
                    Some(Self::Current(state))
                }
                _ => None,
            }
        };
        parse().ok_or_else(|| StoreError::Damaged(format!("row state of meta has {} bytes", bytes.len())))
    }

    pub(crate) fn commit(&self) -> u64 {
        match self {
            Self::Current(state) => state.commit,
            Self::Single { commit, .. } => *commit,
        }
    }
}

fn sum(bytes: &[u8; SUM_BYTES]) -> Option<Sum> {
    let (rows, hashes) = bytes.split_first_chunk()?;
    Some(Sum { rows: u64::from_be_bytes(*rows), hashes: u128::from_be_bytes(*hashes.as_array()?) })
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

    #[test]
    fn the_older_form_is_read_still() {
        let bytes = [&2u32.to_be_bytes()[..], &7u64.to_be_bytes(), &3u64.to_be_bytes(), &9u128.to_be_bytes()];
        let found = Found::parse(&bytes.concat()).expect("well-formed");
        assert_eq!(found, Found::Single { schema: 2, commit: 7, all: Sum { rows: 3, hashes: 9 } });
        assert!(Found::parse(&bytes.concat()[1..]).is_err(), "of neither length");
    }

    proptest! {
        #[test]
        fn a_state_is_read_as_it_was_written(schema: u32, commit: u64, rows: Vec<(Vec<u8>, Vec<u8>)>) {
            let mut sums = Sums::default();
            for (i, (key, value)) in rows.iter().enumerate() {
                sums.add(Table::ALL[i % Table::ALL.len()], key, value);
            }
            let state = State { schema, commit, sums };
            prop_assert_eq!(State::parse(&state.to_bytes()).expect("well-formed"), state);
        }

        #[test]
        fn the_sum_forgets_the_order_but_no_row(rows: Vec<(Vec<u8>, Vec<u8>)>) {
            let mut there = Sums::default();
            rows.iter().for_each(|(key, value)| there.add(Table::Jobs, key, value));
            let mut back = there;
            rows.iter().rev().for_each(|(key, value)| back.subtract(Table::Jobs, key, value));
            prop_assert_eq!(back, Sums::default());
            let mut more = there;
            more.add(Table::Users, b"k", b"v");
            prop_assert_ne!(more, there);
            prop_assert!(more.differences(&there).expect("a row more").contains("users"));
            let mut halves = Sums::default();
            let (one, other) = rows.split_at(rows.len() / 2);
            for half in [one, other] {
                let mut sums = Sums::default();
                half.iter().for_each(|(key, value)| sums.add(Table::Jobs, key, value));
                halves.merge(&sums);
            }
            prop_assert_eq!(halves, there);
        }
    }
}
