//! The store of callers' own keys of providers.

use super::StoreError;
use crate::id::UserId;
use crate::plugin::OwnKey;

/// What users bring of their own, so that a provider is called in their name. Kept sealed.
pub trait ProviderKeyStore: Send + Sync {
    /// An owner's, by instance.
    ///
    /// # Errors
    /// The store is failing, or was not unsealed.
    fn provider_keys(&self, owner: UserId) -> Result<Vec<OwnKey>, StoreError>;

    /// Keeps one, in the place of one for the same instance; `false` if it would be one more than `per_owner_max`.
    ///
    /// # Errors
    /// As [`ProviderKeyStore::provider_keys`].
    fn put_provider_key(&self, owner: UserId, key: &OwnKey, per_owner_max: usize)
    -> Result<bool, StoreError>;

    /// Forgets an owner's for an instance; `false` if there was none.
    ///
    /// # Errors
    /// As [`ProviderKeyStore::provider_keys`].
    fn remove_provider_key(&self, owner: UserId, instance: &str) -> Result<bool, StoreError>;
}
