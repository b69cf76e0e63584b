//! Parts of rows: a BLAKE3 of the rest, then for each row its table, whether it is there, the lengths of key and value, and both.

use super::BackupError;
use crate::engine::Change;
use crate::schema::Table;

/// A part is closed once it has this many bytes.
pub(super) const PART_BYTES: usize = 1024 * 1024;
/// No part has more: rows are cut into chunks, and keys are short.
pub(super) const PART_BYTES_MAX: u64 = 2 * PART_BYTES as u64;

const HASH: usize = 32;
const HEAD: usize = 1 + 1 + 4 + 4;

/// A part being written.
#[derive(Debug, Default)]
pub(super) struct Part {
    bytes: Vec<u8>,
}

impl Part {
    pub(super) fn push(&mut self, change: &Change) {
        if self.bytes.is_empty() {
            self.bytes.resize(HASH, 0);
        }
        let value = change.value.as_deref();
        self.bytes.push(change.table as u8);
        self.bytes.push(u8::from(value.is_some()));
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.bytes.extend_from_slice(&length(&change.key));
        self.bytes.extend_from_slice(&length(value.unwrap_or_default()));
        self.bytes.extend_from_slice(&change.key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The whole part; a new one begins.
    pub(super) fn close(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        if let Some((hash, rest)) = bytes.split_first_chunk_mut::<HASH>() {
            *hash = *blake3::hash(rest).as_bytes();
        }
        bytes
    }
}

/// The rows of a part, if it is what was written.
pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Vec<Change>, BackupError> {
    let damaged = || BackupError::Damaged(format!("{name} is not what was written"));
    let (hash, mut rest) = bytes.split_first_chunk::<HASH>().ok_or_else(damaged)?;
    if blake3::hash(rest).as_bytes() != hash {
        return Err(damaged());
    }
    let mut changes = Vec::new();
    while !rest.is_empty() {
        let (head, tail) = rest.split_first_chunk::<HEAD>().ok_or_else(damaged)?;
        let length = |at: usize| head[at..].first_chunk().map(|bytes| u32::from_be_bytes(*bytes) as usize);
        let (key, value) = (length(2).ok_or_else(damaged)?, length(6).ok_or_else(damaged)?);
        let (key, tail) = tail.split_at_checked(key).ok_or_else(damaged)?;
        let (value, tail) = tail.split_at_checked(value).ok_or_else(damaged)?;
        let table = Table::ALL.into_iter().find(|table| *table as u8 == head[0]);
        let table = table.ok_or_else(|| {
            BackupError::Newer(format!(
                "{name} has rows of a table that this program does not know: restore with a newer one"
            ))
        })?;
        let value = (head[1] == 1).then(|| value.to_vec());
        changes.push(Change { table, key: key.to_vec(), value });
        rest = tail;
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_read_as_they_were_written(rows: Vec<(Vec<u8>, Option<Vec<u8>>)>) {
            let mut part = Part::default();
            let changes: Vec<_> = rows
                .into_iter()
                .enumerate()
                .map(|(i, (key, value))| Change { table: Table::ALL[i % Table::ALL.len()], key, value })
                .collect();
            changes.iter().for_each(|change| part.push(change));
            let bytes = part.close();
            if !changes.is_empty() {
                prop_assert_eq!(parse("rows/1", &bytes).expect("just written"), changes);
            }
        }

        #[test]
        fn a_changed_part_is_refused_by_name(at: prop::sample::Index, bit in 0..8u8) {
            let mut part = Part::default();
            part.push(&Change { table: Table::Jobs, key: vec![1; 16], value: Some(vec![2; 100]) });
            let mut bytes = part.close();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let error = parse("rows/7", &bytes).expect_err("changed").to_string();
            prop_assert!(error.contains("rows/7"), "{}", error);
            prop_assert!(parse("rows/7", &bytes[..at]).is_err(), "cut");
        }
    }
}
