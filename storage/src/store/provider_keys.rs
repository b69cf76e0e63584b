use atelier_domain::id::UserId;
use atelier_domain::plugin::OwnKey;
use atelier_domain::store::{ProviderKeyStore, StoreError};

use super::Store;
use super::deletions::refuse_deleted;
use super::sealed::{read_sealed, write_sealed};
use crate::engine::{Txn, TxnError};
use crate::schema::Table;

const TABLE: Table = Table::ProviderKeys;

impl ProviderKeyStore for Store {
    fn provider_keys(&self, owner: UserId) -> Result<Vec<OwnKey>, StoreError> {
        Ok(self.sealed_row(TABLE, owner.as_bytes())?.unwrap_or_default())
    }

    fn put_provider_key(
        &self,
        owner: UserId,
        key: &OwnKey,
        per_owner_max: usize,
    ) -> Result<bool, StoreError> {
        self.engine().write(|txn| {
            refuse_deleted(txn, owner)?;
            let mut keys = of(txn, owner)?;
            match keys.binary_search_by(|known| known.instance.cmp(&key.instance)) {
                Ok(place) => keys[place] = key.clone(),
                Err(_) if keys.len() >= per_owner_max => return Ok(false),
                Err(place) => keys.insert(place, key.clone()),
            }
            write_sealed(txn, TABLE, owner.as_bytes(), &keys)?;
            Ok(true)
        })
    }

    fn remove_provider_key(&self, owner: UserId, instance: &str) -> Result<bool, StoreError> {
        self.engine().write(|txn| {
            let mut keys = of(txn, owner)?;
            let count = keys.len();
            keys.retain(|known| known.instance.as_str() != instance);
            if keys.len() == count {
                return Ok(false);
            }
            if keys.is_empty() {
                txn.remove(TABLE, owner.as_bytes())?;
            } else {
                write_sealed(txn, TABLE, owner.as_bytes(), &keys)?;
            }
            Ok(true)
        })
    }
}

fn of(txn: &Txn<'_>, owner: UserId) -> Result<Vec<OwnKey>, TxnError> {
    Ok(read_sealed(txn, TABLE, owner.as_bytes())?.unwrap_or_default())
}
