//! Rows of tables that hold secrets: see [`crate::sealing`].

use std::ops::Bound;

use atelier_domain::store::{DataKey, KeeperError, KeyKeeper, StoreError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Store;
use super::rows::write;
use crate::codec::{SEALED_V1, decode, encode};
use crate::engine::{Txn, TxnError};
use crate::schema::Table;
use crate::sealing::{Cipher, Unsealing};

/// The key of the one row.
const ONE: &[u8] = b"";
/// Rows that are sealed anew at once.
const PAGE: usize = 100;

/// The keys that seal, as stored.
#[derive(Serialize, Deserialize)]
struct SealingKeys {
    newest: Wrapped,
    /// While rows may still be sealed with it.
    older: Option<Wrapped>,
    /// Every row is sealed with the newest.
    is_settled: bool,
}

#[derive(Serialize, Deserialize)]
struct Wrapped {
    number: u32,
    /// The keeper's name of the key that wraps it.
    by: String,
    bytes: Vec<u8>,
}

/// A key and its number.
type Numbered = (u32, DataKey);

impl Wrapped {
    fn of((number, key): &Numbered, keeper: &dyn KeyKeeper) -> Result<Self, StoreError> {
        let bytes = keeper.wrap(key).map_err(refused)?;
        Ok(Self { number: *number, by: keeper.current().to_owned(), bytes })
    }

    fn unwrap(&self, keeper: &dyn KeyKeeper) -> Result<Numbered, StoreError> {
        Ok((self.number, keeper.unwrap(&self.by, &self.bytes).map_err(refused)?))
    }
}

fn refused(error: KeeperError) -> StoreError {
    match error {
        KeeperError::Altered(_) => StoreError::Damaged(format!("{error}: restore the newest backup")),
        KeeperError::Unknown { .. } | KeeperError::Unavailable(_) => {
            StoreError::Unavailable(error.to_string())
        }
    }
}

fn borrowed((number, key): &Numbered) -> (u32, &DataKey) {
    (*number, key)
}

impl Store {
    /// Lets secrets be read and written. The first time, and whenever the keeper wraps with another key than before, a new key is
    /// made and all rows that hold secrets are sealed with it; what is interrupted goes on the next time.
    ///
    /// # Errors
    /// - [`StoreError::Unavailable`] when the keeper has not the key, or cannot be asked.
    /// - [`StoreError::Damaged`] when a key or a row was changed since it was sealed.
    pub fn unseal(&self, keeper: &dyn KeyKeeper) -> Result<Unsealing, StoreError> {
        let kept: Option<SealingKeys> = self.row(Table::SealingKeys, ONE)?;
        let kept = match kept {
            // Nothing is lost with a key that has sealed nothing.
            Some(keys) if !self.has_secrets()? => keys.newest.unwrap(keeper).is_ok().then_some(keys),
            kept => kept,
        };
        let (newest, older, is_settled) = match kept {
            None => (self.renew(keeper, None)?, None, false),
            Some(SealingKeys { newest, older, is_settled }) => {
                let (key, by) = (newest.unwrap(keeper)?, newest.by);
                let older = older.map(|older| older.unwrap(keeper)).transpose()?;
                if by == keeper.current() {
                    (key, older, is_settled)
                } else {
                    if !is_settled {
                        self.seal_all(&Cipher::new(borrowed(&key), older.as_ref().map(borrowed)))?;
                    }
                    (self.renew(keeper, Some(&key))?, Some(key), false)
                }
            }
        };
        let mut outcome = Unsealing::AsItWas;
        if !is_settled {
            let rows = self.seal_all(&Cipher::new(borrowed(&newest), older.as_ref().map(borrowed)))?;
            let keys = SealingKeys { newest: Wrapped::of(&newest, keeper)?, older: None, is_settled: true };
            self.put_keys(&keys)?;
            outcome = Unsealing::Sealed { rows };
        }
        self.engine().set_cipher(Cipher::new(borrowed(&newest), None));
        Ok(outcome)
    }

    /// By which key of their keeper's the secrets here are sealed, if there are any.
    ///
    /// # Errors
    /// The store is failing.
    pub fn sealed_by(&self) -> Result<Option<String>, StoreError> {
        if !self.has_secrets()? {
            return Ok(None);
        }
        let kept: Option<SealingKeys> = self.row(Table::SealingKeys, ONE)?;
        Ok(kept.map(|keys| keys.newest.by))
    }

    fn has_secrets(&self) -> Result<bool, StoreError> {
        for table in Table::SEALED {
            if !self.engine().keys(table, (Bound::Unbounded, Bound::Unbounded), 1)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets every secret and the keys that sealed them, for those who have lost the key of their keeper: webhook endpoints, and users'
    /// own keys of providers. Gives the number of rows.
    ///
    /// # Errors
    /// The store is failing.
    pub fn forget_secrets(&self) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        // The keys go last: what is interrupted can be done again.
        for table in [Table::WebhookQueues].into_iter().chain(Table::SEALED).chain([Table::SealingKeys]) {
            let is_secret = Table::SEALED.contains(&table);
            self.for_pages(table, |keys| {
                self.engine()
                    .write(|txn| keys.iter().try_for_each(|key| txn.remove(table, key).map(drop)))?;
                forgotten += if is_secret { keys.len() as u64 } else { 0 };
                Ok(())
            })?;
        }
        Ok(forgotten)
    }

    /// Makes a new key; what the one before it sealed can be opened until all is sealed with the new one.
    fn renew(&self, keeper: &dyn KeyKeeper, older: Option<&Numbered>) -> Result<Numbered, StoreError> {
        let number = older.map_or(1, |(number, _)| number.wrapping_add(1));
        let newest =
            (number, DataKey::generate().map_err(|error| StoreError::Unavailable(error.to_string()))?);
        self.put_keys(&SealingKeys {
            newest: Wrapped::of(&newest, keeper)?,
            older: older.map(|older| Wrapped::of(older, keeper)).transpose()?,
            is_settled: false,
        })?;
        Ok(newest)
    }

    fn put_keys(&self, keys: &SealingKeys) -> Result<(), StoreError> {
        self.engine().write(|txn| write(txn, Table::SealingKeys, ONE, keys))
    }

    /// Seals every row that is not sealed with the newest key.
    fn seal_all(&self, cipher: &Cipher) -> Result<u64, StoreError> {
        let mut sealed = 0;
        for table in Table::SEALED {
            self.for_pages(table, |keys| {
                sealed += self.engine().write(|txn| {
                    let mut rows = 0;
                    for key in keys {
                        let Some(row) = txn.get(table, key)?.filter(|row| !cipher.is_newest(row)) else {
                            continue;
                        };
                        let plain = plain(Some(cipher), table, key, row)?;
                        txn.put(table, key, &cipher.seal(table, key, &plain)?)?;
                        rows += 1;
                    }
                    Ok(rows)
                })?;
                Ok(())
            })?;
        }
        Ok(sealed)
    }

    fn for_pages(
        &self,
        table: Table,
        mut page: impl FnMut(&[Vec<u8>]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut after = Bound::Unbounded;
        loop {
            let keys = self.engine().keys(table, (after, Bound::Unbounded), PAGE)?;
            let Some(last) = keys.last() else { return Ok(()) };
            page(&keys)?;
            after = Bound::Excluded(last.clone());
        }
    }

    /// A row of a table that is sealed.
    pub(super) fn sealed_row<T: DeserializeOwned>(
        &self,
        table: Table,
        key: &[u8],
    ) -> Result<Option<T>, StoreError> {
        let Some(row) = self.engine().get(table, key)? else { return Ok(None) };
        decode(table, key, &plain(self.engine().cipher(), table, key, row)?).map(Some)
    }
}

/// A row of a table that is sealed, within a transaction.
pub(super) fn read_sealed<T: DeserializeOwned>(
    txn: &Txn<'_>,
    table: Table,
    key: &[u8],
) -> Result<Option<T>, TxnError> {
    let Some(row) = txn.get(table, key)? else { return Ok(None) };
    Ok(Some(decode(table, key, &plain(txn.cipher(), table, key, row)?)?))
}

/// Writes a row of a table that is sealed, within a transaction.
pub(super) fn write_sealed<T: Serialize>(
    txn: &Txn<'_>,
    table: Table,
    key: &[u8],
    value: &T,
) -> Result<(), TxnError> {
    let cipher = txn.cipher().ok_or_else(locked)?;
    txn.put(table, key, &cipher.seal(table, key, &encode(table, value)?)?)
}

/// A row as it was before it was sealed; rows of older versions lie there as they are until the store is unsealed.
fn plain(cipher: Option<&Cipher>, table: Table, key: &[u8], row: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    match row.first() {
        Some(&SEALED_V1) => cipher.ok_or_else(locked)?.open(table, key, &row),
        _ => Ok(row),
    }
}

fn locked() -> StoreError {
    StoreError::Unavailable(
        "it was not unsealed, so that its secrets can be neither read nor written".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use atelier_domain::id::UserId;
    use atelier_domain::plugin::{OwnKey, SecretValue};
    use atelier_domain::store::{EndpointStore as _, ProviderKeyStore as _};
    use atelier_domain::time::Timestamp;
    use tempfile::TempDir;

    use super::*;
    use crate::contract::sample;
    use crate::sealing::{LocalKeys, SealingKey};

    const CANARY: &str = "sk-canary-5f2a";

    fn key(byte: u8) -> SealingKey {
        SealingKey::new([byte; 32])
    }

    fn opened(folder: &TempDir) -> Store {
        Store::open(folder.path()).expect("opened")
    }

    fn own_key() -> OwnKey {
        let secrets = [("api-key".to_owned(), SecretValue::new(CANARY))].into();
        OwnKey { instance: "openai".parse().expect("a name"), secrets, set: Timestamp(1) }
    }

    /// A store with more rows than a page, each as an older version left it.
    fn plain_rows(store: &Store) -> Vec<UserId> {
        let owners: Vec<_> = (0..2 * PAGE + 1).map(|_| UserId::new()).collect();
        for owner in &owners {
            let row = vec![sample::endpoint(*owner)];
            store
                .engine()
                .write(|txn| write(txn, Table::WebhookEndpoints, owner.as_bytes(), &row))
                .expect("written");
        }
        owners
    }

    fn formats(store: &Store, table: Table) -> Vec<(u8, Vec<u8>)> {
        let keys = store.engine().keys(table, (Bound::Unbounded, Bound::Unbounded), 999).expect("read");
        let row = |key: Vec<u8>| store.engine().get(table, &key).expect("read").expect("there");
        keys.into_iter().map(row).map(|row| (row[0], row[1..5].to_vec())).collect()
    }

    #[test]
    fn what_an_older_version_left_plain_is_sealed_once_and_read_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = opened(&folder);
        let owners = plain_rows(&store);
        assert_eq!(store.endpoints(owners[0]).expect("read as it is").len(), 1);
        let keeper = LocalKeys::new(key(1), Vec::new());
        let rows = owners.len() as u64;
        assert_eq!(store.unseal(&keeper).expect("unsealed"), Unsealing::Sealed { rows });
        assert!(formats(&store, Table::WebhookEndpoints).iter().all(|(format, _)| *format == SEALED_V1));
        drop(store);
        let store = opened(&folder);
        assert_eq!(store.unseal(&keeper).expect("unsealed"), Unsealing::AsItWas);
        assert!(owners.iter().all(|owner| store.endpoints(*owner).expect("read").len() == 1));
        assert_eq!(store.sealed_by().expect("read").as_deref(), Some(key(1).name()));
    }

    #[test]
    fn secrets_are_neither_read_nor_written_before_the_store_is_unsealed() {
        let folder = tempfile::tempdir().expect("a folder");
        let owner = UserId::new();
        let store = opened(&folder);
        let error = store.put_provider_key(owner, &own_key(), 9).expect_err("locked").to_string();
        assert!(error.contains("not unsealed"), "{error}");
        store.unseal(&LocalKeys::new(key(1), Vec::new())).expect("unsealed");
        assert!(store.put_provider_key(owner, &own_key(), 9).expect("kept"));
        drop(store);
        let bytes = std::fs::read(folder.path().join("db/db")).expect("the database's file");
        assert!(!bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()), "it lies there plain");
        let store = opened(&folder);
        assert!(store.provider_keys(owner).is_err(), "locked again");
    }

    #[test]
    fn another_key_of_the_keepers_seals_everything_anew_and_the_old_one_is_worthless_then() {
        let folder = tempfile::tempdir().expect("a folder");
        let owner = UserId::new();
        let store = opened(&folder);
        store.unseal(&LocalKeys::new(key(1), Vec::new())).expect("unsealed");
        store.put_provider_key(owner, &own_key(), 9).expect("kept");
        let before = formats(&store, Table::ProviderKeys);
        drop(store);

        let store = opened(&folder);
        let error = store.unseal(&LocalKeys::new(key(2), Vec::new())).expect_err("unknown").to_string();
        assert!(error.contains(key(1).name()) && error.contains(key(2).name()), "{error}");
        let both = LocalKeys::new(key(2), vec![key(1)]);
        assert_eq!(store.unseal(&both).expect("unsealed"), Unsealing::Sealed { rows: 1 });
        assert_ne!(formats(&store, Table::ProviderKeys), before, "a new key of the store's own");
        drop(store);

        let store = opened(&folder);
        assert!(store.unseal(&LocalKeys::new(key(1), Vec::new())).is_err(), "the old one is worthless");
        let alone = LocalKeys::new(key(2), Vec::new());
        assert_eq!(store.unseal(&alone).expect("unsealed"), Unsealing::AsItWas);
        assert_eq!(store.provider_keys(owner).expect("read"), [own_key()]);
    }

    #[test]
    fn sealing_anew_goes_on_where_it_was_interrupted() {
        let folder = tempfile::tempdir().expect("a folder");
        let owners = [UserId::new(), UserId::new()];
        let store = opened(&folder);
        let [old, new] = [key(1), key(2)].map(|key| LocalKeys::new(key, vec![SealingKey::new([1; 32])]));
        store.unseal(&old).expect("unsealed");
        assert!(owners.iter().all(|owner| store.put_provider_key(*owner, &own_key(), 9).expect("kept")));
        drop(store);

        // Killed after the new key and the first row.
        let store = opened(&folder);
        let kept: SealingKeys = store.row(Table::SealingKeys, ONE).expect("read").expect("there");
        let older = kept.newest.unwrap(&new).expect("unwrapped");
        let newest = store.renew(&new, Some(&older)).expect("renewed");
        let cipher = Cipher::new(borrowed(&newest), Some(borrowed(&older)));
        let (table, row) = (Table::ProviderKeys, owners[0].as_bytes());
        let anew = store.engine().write(|txn| {
            let sealed = txn.get(table, row)?.expect("there");
            txn.put(table, row, &cipher.seal(table, row, &cipher.open(table, row, &sealed)?)?)
        });
        anew.expect("written");
        drop(store);

        // And the key is changed once more before it goes on.
        let store = opened(&folder);
        let third = LocalKeys::new(key(3), vec![key(2)]);
        assert_eq!(store.unseal(&third).expect("unsealed"), Unsealing::Sealed { rows: 2 });
        for owner in owners {
            assert_eq!(store.provider_keys(owner).expect("read"), [own_key()]);
        }
        let settled: SealingKeys = store.row(Table::SealingKeys, ONE).expect("read").expect("there");
        assert!(settled.is_settled && settled.older.is_none());
    }

    #[test]
    fn a_key_that_has_sealed_nothing_is_not_missed() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = opened(&folder);
        store.unseal(&LocalKeys::new(key(1), Vec::new())).expect("unsealed");
        assert_eq!(store.sealed_by().expect("read"), None);
        drop(store);
        let store = opened(&folder);
        store.unseal(&LocalKeys::new(key(2), Vec::new())).expect("another will do");
        store.put_provider_key(UserId::new(), &own_key(), 9).expect("kept");
        assert_eq!(store.sealed_by().expect("read").as_deref(), Some(key(2).name()));
    }

    #[test]
    fn secrets_whose_key_is_lost_can_be_forgotten_and_others_kept_after_that() {
        let folder = tempfile::tempdir().expect("a folder");
        let owner = UserId::new();
        let store = opened(&folder);
        store.unseal(&LocalKeys::new(key(1), Vec::new())).expect("unsealed");
        store.put_provider_key(owner, &own_key(), 9).expect("kept");
        assert!(store.create_endpoint(&sample::endpoint(owner), 9).expect("kept"));
        drop(store);
        let store = opened(&folder);
        assert_eq!(store.forget_secrets().expect("forgotten"), 2);
        store.unseal(&LocalKeys::new(key(2), Vec::new())).expect("anew");
        assert!(store.provider_keys(owner).expect("read").is_empty());
        assert!(store.endpoints(owner).expect("read").is_empty());
        store.put_provider_key(owner, &own_key(), 9).expect("kept");
    }
}
