//! One row, sealed.

use std::fmt;

use atelier_domain::store::{DataKey, StoreError};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::codec::{SEALED_V1, damaged};
use crate::schema::Table;

const NUMBER_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;

/// Seals with one key, and opens what it and its predecessor sealed.
pub(crate) struct Cipher {
    newest: (u32, XChaCha20Poly1305),
    older: Option<(u32, XChaCha20Poly1305)>,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cipher").field("newest", &self.newest.0).finish_non_exhaustive()
    }
}

impl Cipher {
    pub(crate) fn new((number, key): (u32, &DataKey), older: Option<(u32, &DataKey)>) -> Self {
        let cipher = |key: &DataKey| XChaCha20Poly1305::new(key.bytes().into());
        Self { newest: (number, cipher(key)), older: older.map(|(number, key)| (number, cipher(key))) }
    }

    /// The format, the key's number, a random nonce, then the text with its tag.
    pub(crate) fn seal(&self, table: Table, key: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let (number, cipher) = &self.newest;
        let payload = Payload { msg: plain, aad: &place(table, key) };
        let text = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| StoreError::Unavailable(format!("a row of {table} is too large to be sealed")))?;
        Ok([&[SEALED_V1], &number.to_be_bytes()[..], &nonce, &text].concat())
    }

    /// What [`Cipher::seal`] was given for the same place.
    pub(crate) fn open(&self, table: Table, key: &[u8], row: &[u8]) -> Result<Vec<u8>, StoreError> {
        let wrong = |why: &str| damaged(table, key, why);
        let (number, nonce, text) = parts(row).ok_or_else(|| wrong("it is too short to be sealed"))?;
        let (_, cipher) = [Some(&self.newest), self.older.as_ref()]
            .into_iter()
            .flatten()
            .find(|(known, _)| *known == number)
            .ok_or_else(|| wrong(&format!("it is sealed with key {number}, which is not in use")))?;
        let payload = Payload { msg: text, aad: &place(table, key) };
        cipher
            .decrypt(&XNonce::from(nonce), payload)
            .map_err(|_| wrong("it was changed since it was sealed, or belongs elsewhere"))
    }

    /// Whether a row was sealed with the newest key.
    pub(crate) fn is_newest(&self, row: &[u8]) -> bool {
        parts(row).is_some_and(|(number, ..)| number == self.newest.0)
    }
}

fn parts(row: &[u8]) -> Option<(u32, [u8; NONCE_BYTES], &[u8])> {
    let (&SEALED_V1, row) = row.split_first()? else { return None };
    let (number, row) = row.split_first_chunk::<NUMBER_BYTES>()?;
    let (nonce, text) = row.split_first_chunk::<NONCE_BYTES>()?;
    Some((u32::from_be_bytes(*number), *nonce, text))
}

/// Where a row lies.
fn place(table: Table, key: &[u8]) -> Vec<u8> {
    [&[table as u8], key].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: Table = Table::ProviderKeys;

    fn cipher(number: u32, byte: u8) -> Cipher {
        Cipher::new((number, &DataKey::from([byte; 32])), None)
    }

    #[test]
    fn a_row_is_opened_in_its_place_by_its_key_alone() {
        let sealing = cipher(1, 7);
        let row = sealing.seal(TABLE, b"owner", b"sk-canary").expect("sealed");
        assert!(!row.windows(4).any(|part| part == b"cana"), "it is not there to be read");
        assert_eq!(sealing.open(TABLE, b"owner", &row).expect("opened"), b"sk-canary");
        assert_ne!(row, sealing.seal(TABLE, b"owner", b"sk-canary").expect("sealed"), "no nonce comes twice");
        for (table, key) in [(TABLE, &b"other"[..]), (Table::WebhookEndpoints, b"owner")] {
            let error = sealing.open(table, key, &row).expect_err("elsewhere").to_string();
            assert!(error.contains("belongs elsewhere"), "{error}");
        }
        assert!(cipher(1, 8).open(TABLE, b"owner", &row).is_err(), "another key");
        let error = cipher(2, 7).open(TABLE, b"owner", &row).expect_err("another number").to_string();
        assert!(error.contains("key 1"), "{error}");
    }

    proptest! {
        #[test]
        fn a_row_that_was_changed_is_not_opened(plain: Vec<u8>, at: usize, bit in 0_u8..8) {
            let sealing = cipher(1, 7);
            let mut row = sealing.seal(TABLE, b"k", &plain).expect("sealed");
            let at = at % row.len();
            row[at] ^= 1 << bit;
            prop_assert!(sealing.open(TABLE, b"k", &row).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(row: Vec<u8>) {
            prop_assert!(cipher(1, 7).open(TABLE, b"k", &row).is_err());
        }
    }
}
