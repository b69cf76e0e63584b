//! Callers' own keys of providers: an instance is then called in their name and at their cost, and nothing of such calls is shared with
//! others: each has a sandboxed provider of their own, with its own cache, breakers and limits.

mod shelf;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::id::{InstanceName, UserId};
use atelier_domain::plugin::{OwnKey, SecretValue};
use atelier_domain::provider::{CallContext, Provider};
use atelier_domain::store::ProviderKeyStore;
use atelier_domain::time::{Clock, Timestamp};
use moka::future::Cache;
use tokio::sync::RwLock;

use crate::caller::Caller;
use crate::registry::{ModelEntry, Registry, Resolved, Target};
use crate::{ServiceError, StoragePool};
use shelf::Shelf;

/// Instances for which one user keeps a key.
const PER_USER_MAX: usize = 16;
/// Secrets of one key, as of a manifest.
const SECRETS_MAX: usize = 16;
/// Bytes of one secret: a service account's file fits.
const SECRET_BYTES_MAX: usize = 16 * 1024;
/// Users whose keys are in memory.
const USERS_MAX: u64 = 10_000;
/// Sandboxed providers are many kilobytes: those of users who are gone are let go.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// And in any case what is in memory is read again.
const KEPT_MAX: Duration = Duration::from_secs(3600);
/// How long a provider is asked whether a key is good.
const CHECK_BUDGET: Duration = Duration::from_secs(10);

/// What is told of a key: never its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptKey {
    pub instance: InstanceName,
    /// The names of its secrets.
    pub secrets: Vec<String>,
    pub set: Timestamp,
}

impl From<&OwnKey> for KeptKey {
    fn from(key: &OwnKey) -> Self {
        let OwnKey { instance, secrets, set } = key;
        Self { instance: instance.clone(), secrets: secrets.keys().cloned().collect(), set: *set }
    }
}

/// What the provider said of a key when it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It takes it.
    Good,
    /// It could not be asked, and why.
    Unknown(String),
}

/// Own keys of all users.
pub struct OwnKeys {
    store: Arc<dyn ProviderKeyStore>,
    pool: StoragePool,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    /// The operator lets callers bring keys.
    is_offered: bool,
    shelves: Cache<UserId, Arc<Shelf>>,
    /// Written while a row changes, so that no older one is read into memory after it.
    changing: Arc<RwLock<()>>,
}

impl fmt::Debug for OwnKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnKeys").field("is_offered", &self.is_offered).finish_non_exhaustive()
    }
}

impl OwnKeys {
    /// Keys over a store that was unsealed.
    pub fn new(
        store: Arc<dyn ProviderKeyStore>,
        pool: StoragePool,
        registry: Arc<Registry>,
        clock: Arc<dyn Clock>,
        is_offered: bool,
    ) -> Self {
        let shelves =
            Cache::builder().max_capacity(USERS_MAX).time_to_idle(IDLE_MAX).time_to_live(KEPT_MAX).build();
        Self { store, pool, registry, clock, is_offered, shelves, changing: Arc::default() }
    }

    /// The caller's keys, by instance.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<KeptKey>, ServiceError> {
        Ok(self.shelf(caller.user()).await?.keys.iter().map(KeptKey::from).collect())
    }

    /// Keeps a key of the caller's, once its provider was asked about it.
    ///
    /// # Errors
    /// They are not offered here, there is no such instance, its plugin has other secrets, the provider refuses them, or the caller has
    /// too many.
    pub async fn put(
        &self,
        caller: &Caller,
        instance: &str,
        secrets: BTreeMap<String, SecretValue>,
    ) -> Result<(KeptKey, Checked), ServiceError> {
        self.offered()?;
        let name: InstanceName = instance.parse().map_err(|why| wrong("instance", format!("{why}")))?;
        let base = self.registry.provider(instance);
        let base = base.ok_or(ServiceError::NotFound { what: "such instance" })?;
        check_sizes(&secrets)?;
        let provider = base.with_secrets(&secrets).map_err(|message| wrong("secrets", message))?;
        let context = CallContext {
            request_id: caller.request_id.clone(),
            ..CallContext::of_host("own-key", CHECK_BUDGET)
        };
        let checked = match tokio::time::timeout(CHECK_BUDGET, provider.check(context)).await {
            Ok(Ok(())) => Checked::Good,
            Ok(Err(error)) if is_refused(&error) => return Err(refused(instance)),
            Ok(Err(error)) => Checked::Unknown(error.kind().to_owned()),
            Err(_) => Checked::Unknown("it did not answer in time".to_owned()),
        };
        let key = OwnKey { instance: name, secrets, set: self.clock.now() };
        let (store, owner, row) = (self.store.clone(), caller.user(), key.clone());
        let put = move || store.put_provider_key(owner, &row, PER_USER_MAX);
        if !self.changed(owner, put).await? {
            return Err(wrong("instance", format!("there are keys for {PER_USER_MAX} instances already")));
        }
        Ok((KeptKey::from(&key), checked))
    }

    /// Forgets the caller's key for an instance. Jobs that began with it end.
    ///
    /// # Errors
    /// They have none.
    pub async fn remove(&self, caller: &Caller, instance: &str) -> Result<(), ServiceError> {
        let (store, owner, instance) = (self.store.clone(), caller.user(), instance.to_owned());
        if self.changed(owner, move || store.remove_provider_key(owner, &instance)).await? {
            Ok(())
        } else {
            Err(ServiceError::NotFound { what: "key of yours for that instance" })
        }
    }

    /// Forgets what is in memory of a user, whose rows were removed.
    pub async fn forget(&self, owner: UserId) {
        let _changing = self.changing.write().await;
        self.shelves.invalidate(&owner).await;
    }

    /// The same models, each under the key that the caller sent or keeps for its instance.
    ///
    /// # Errors
    /// A key of theirs cannot be used, or storage is failing or busy.
    pub async fn apply(&self, caller: &Caller, mut resolved: Resolved) -> Result<Resolved, ServiceError> {
        if let Some(key) = &caller.own_key {
            return self.apply_sent(key, resolved);
        }
        if !self.is_offered {
            return Ok(resolved);
        }
        let shelf = self.shelf(caller.user()).await?;
        if shelf.keys.is_empty() {
            return Ok(resolved);
        }
        if let Some(Target { provider, model }) = shelf.own(&resolved.provider, &resolved.model)? {
            (resolved.provider, resolved.model) = (provider, model);
        }
        for target in &mut resolved.fallbacks {
            if let Some(own) = shelf.own(&target.provider, &target.model)? {
                *target = own;
            }
        }
        if resolved.model.is_own {
            // Whoever brings a key of their own means that no other's is used, and paid for.
            resolved.fallbacks.retain(|target| target.model.is_own);
        }
        Ok(resolved)
    }

    /// An instance under the key that a user keeps for it.
    ///
    /// # Errors
    /// They keep none any more, or it cannot be used.
    pub(crate) async fn provider(
        &self,
        owner: UserId,
        instance: &str,
        base: &Arc<dyn Provider>,
    ) -> Result<Arc<dyn Provider>, ServiceError> {
        let own = self.shelf(owner).await?.provider(instance, base)?;
        own.ok_or_else(|| ServiceError::OwnKeyUnusable {
            instance: instance.to_owned(),
            why: "it was removed".to_owned(),
        })
    }

    /// A key that came with its request: for the model that was asked for, and no other.
    fn apply_sent(&self, key: &SecretValue, mut resolved: Resolved) -> Result<Resolved, ServiceError> {
        self.offered()?;
        let unusable = |why: String| ServiceError::OwnKeyUnusable {
            instance: resolved.model.id.instance().to_owned(),
            why,
        };
        let mut wanted = resolved.provider.secrets().iter().filter(|secret| secret.required);
        let (Some(secret), None) = (wanted.next(), wanted.next()) else {
            return Err(unusable(
                "it needs another number of secrets than one: keep them with POST /api/v1/provider-keys"
                    .to_owned(),
            ));
        };
        let own = BTreeMap::from([(secret.name.clone(), key.clone())]);
        let provider = resolved.provider.with_secrets(&own).map_err(unusable)?;
        (resolved.provider, resolved.model) = (provider, Arc::new(resolved.model.own()));
        resolved.fallbacks.clear();
        Ok(resolved)
    }

    fn offered(&self) -> Result<(), ServiceError> {
        if self.is_offered { Ok(()) } else { Err(ServiceError::NotOffered) }
    }

    async fn shelf(&self, owner: UserId) -> Result<Arc<Shelf>, ServiceError> {
        if let Some(shelf) = self.shelves.get(&owner).await {
            return Ok(shelf);
        }
        let _reading = self.changing.read().await;
        let store = self.store.clone();
        let load = async {
            let keys = self.pool.run(move || store.provider_keys(owner)).await?;
            Ok(Arc::new(Shelf::new(keys)))
        };
        let loaded = self.shelves.try_get_with(owner, load).await;
        loaded.map_err(|error: Arc<ServiceError>| (*error).clone())
    }

    async fn changed(
        &self,
        owner: UserId,
        change: impl FnOnce() -> Result<bool, atelier_domain::store::StoreError> + Send + 'static,
    ) -> Result<bool, ServiceError> {
        let (changing, pool, shelves) = (self.changing.clone(), self.pool.clone(), self.shelves.clone());
        // On its own: what was begun in the store is done whether or not its caller stays.
        let work = tokio::spawn(async move {
            let _changing = changing.write().await;
            let changed = pool.run(change).await;
            // Also after a failure: what is in the store then is not known.
            shelves.invalidate(&owner).await;
            changed
        });
        work.await.map_err(|error| ServiceError::Internal(format!("changing an own key stopped: {error}")))?
    }
}

/// Why a call of a model failed. What would be the operator's matter under their key is the caller's under their own.
pub(crate) fn failed(error: ProviderError, model: &ModelEntry) -> ServiceError {
    if model.is_own && is_refused(&error) { refused(model.id.instance()) } else { error.into() }
}

fn is_refused(error: &ProviderError) -> bool {
    let ProviderError::Reported { failure, .. } = error else { return false };
    matches!(failure.code, FailureCode::Unauthenticated | FailureCode::Forbidden)
}

fn refused(instance: &str) -> ServiceError {
    let why = "its provider does not take it".to_owned();
    ServiceError::OwnKeyUnusable { instance: instance.to_owned(), why }
}

fn wrong(param: &str, message: String) -> ServiceError {
    ServiceError::Invalid { param: param.to_owned(), message }
}

fn check_sizes(secrets: &BTreeMap<String, SecretValue>) -> Result<(), ServiceError> {
    if secrets.is_empty() || secrets.len() > SECRETS_MAX {
        return Err(wrong("secrets", format!("must be 1 to {SECRETS_MAX} secrets, by their names")));
    }
    let bad = secrets.iter().find(|(_, value)| {
        let text = value.reveal();
        text.is_empty() || text.len() > SECRET_BYTES_MAX || text.chars().any(|c| c.is_control() && c != '\n')
    });
    match bad {
        Some((name, _)) => Err(wrong(
            &format!("secrets.{}", name.chars().take(64).collect::<String>()),
            format!("must be text of 1 to {SECRET_BYTES_MAX} bytes without control characters"),
        )),
        None => Ok(()),
    }
}
