//! Which provider serves a model, and what its models are.

mod catalogue;
mod load;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::id::{InstanceName, ModelId};
use atelier_domain::model::Task;
use atelier_domain::provider::Provider;
use atelier_domain::text::nearest;
use atelier_domain::time::{Clock, Timestamp};
use futures::future::join_all;
use moka::Expiry;
use moka::future::Cache;

pub use catalogue::{Catalogue, ModelEntry};

use crate::ServiceError;
use crate::meter::Meter;

/// How long metadata counts as fresh (M-3).
const FRESH_FOR: Duration = Duration::from_secs(3600);
/// Older metadata is renewed in the background, so that no request waits for it.
const RENEWED_AFTER: Duration = Duration::from_secs(3000);
/// How soon a provider that did not answer is asked again.
const STALE_FOR: Duration = Duration::from_secs(30);
const INSTANCES_MAX: u64 = 10_000;
/// Models looked up one by one, at providers whose lists are not complete.
const SINGLE_MODELS_MAX: u64 = 10_000;
/// Models named in an error.
const NAMED_MAX: usize = 5;

type Providers = HashMap<String, Arc<dyn Provider>>;

/// A model that can be called now.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub provider: Arc<dyn Provider>,
    pub model: Arc<ModelEntry>,
}

/// All configured instances and their models.
#[derive(Debug)]
pub struct Registry {
    providers: ArcSwap<Providers>,
    aliases: HashMap<String, String>,
    catalogues: Cache<String, Arc<Catalogue>>,
    /// What each provider last said, for when it is silent. One entry for each instance.
    last_good: ArcSwap<HashMap<String, Arc<Catalogue>>>,
    singles: Cache<String, Arc<ModelEntry>>,
    clock: Arc<dyn Clock>,
    meter: Arc<dyn Meter>,
}

struct ByFreshness;

impl Expiry<String, Arc<Catalogue>> for ByFreshness {
    fn expire_after_create(&self, _: &String, catalogue: &Arc<Catalogue>, _: Instant) -> Option<Duration> {
        Some(if catalogue.failure.is_none() { FRESH_FOR } else { STALE_FOR })
    }
    fn expire_after_update(
        &self,
        key: &String,
        catalogue: &Arc<Catalogue>,
        at: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, catalogue, at)
    }
}

impl Registry {
    /// A registry without instances. `aliases` are the operator's: alias → `instance/model`.
    pub fn new(aliases: HashMap<String, String>, clock: Arc<dyn Clock>, meter: Arc<dyn Meter>) -> Self {
        Self {
            providers: ArcSwap::default(),
            aliases,
            catalogues: Cache::builder().max_capacity(INSTANCES_MAX).expire_after(ByFreshness).build(),
            last_good: ArcSwap::default(),
            singles: Cache::builder().max_capacity(SINGLE_MODELS_MAX).time_to_live(FRESH_FOR).build(),
            clock,
            meter,
        }
    }

    /// Adds or replaces an instance. Running calls go on with what they began with.
    pub async fn put(&self, name: &InstanceName, provider: Arc<dyn Provider>) {
        self.providers.rcu(|now| {
            let mut next = Providers::clone(now);
            next.insert(name.as_str().to_owned(), provider.clone());
            next
        });
        self.forget(name.as_str()).await;
    }

    /// Removes an instance; `false` if there was none.
    pub async fn remove(&self, name: &InstanceName) -> bool {
        let before = self.providers.rcu(|now| {
            let mut next = Providers::clone(now);
            next.remove(name.as_str());
            next
        });
        self.forget(name.as_str()).await;
        before.contains_key(name.as_str())
    }

    async fn forget(&self, instance: &str) {
        self.last_good.rcu(|now| {
            let mut next = HashMap::clone(now);
            next.remove(instance);
            next
        });
        self.catalogues.invalidate(instance).await;
        let prefix = format!("{instance}/");
        let outdated: Vec<_> =
            self.singles.iter().filter(|(id, _)| id.starts_with(&prefix)).map(|(id, _)| id).collect();
        for id in outdated {
            self.singles.invalidate(id.as_str()).await;
        }
    }

    /// The instance of that name.
    pub fn provider(&self, instance: &str) -> Option<Arc<dyn Provider>> {
        self.providers.load().get(instance).cloned()
    }

    /// All instances, by name.
    pub fn instances(&self) -> Vec<(String, Arc<dyn Provider>)> {
        let mut all: Vec<_> =
            self.providers.load().iter().map(|(name, provider)| (name.clone(), provider.clone())).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// The provider and model for an id or alias, if the model can do the task now.
    ///
    /// # Errors
    /// No such model (with its neighbours), not callable, not able (with those that are), or its provider is silent.
    pub async fn resolve(&self, model: &str, task: Task, scope: &str) -> Result<Resolved, ServiceError> {
        let found = self.find(model, scope).await?;
        let info = &found.model.info;
        if !info.status.is_callable() {
            return Err(ServiceError::ModelNotCallable { model: model.to_owned(), status: info.status });
        }
        if !info.tasks.contains(&task) {
            let able = self.able(task, scope);
            return Err(ServiceError::ModelCannot { model: model.to_owned(), task, able });
        }
        Ok(found)
    }

    /// The provider and model for an id or alias, whatever it can do.
    ///
    /// # Errors
    /// No such model (with its neighbours), or its provider is silent.
    pub async fn find(&self, model: &str, scope: &str) -> Result<Resolved, ServiceError> {
        let id = self.aliases.get(model).map_or(model, String::as_str);
        let Some((instance, own_id)) = id.split_once('/') else { return Err(self.unknown(model, scope)) };
        let Some(provider) = self.provider(instance) else { return Err(self.unknown(model, scope)) };
        let catalogue = self.catalogue(instance, &provider).await;
        let entry = match catalogue.get(own_id) {
            Some(entry) => entry.clone(),
            None if catalogue.open_ended => self.single(id, &provider).await?,
            None => match &catalogue.failure {
                Some(reason) => {
                    let (instance, reason) = (instance.to_owned(), reason.clone());
                    return Err(ServiceError::CatalogueUnavailable { instance, reason });
                }
                None => return Err(self.unknown(model, scope)),
            },
        };
        if !entry.is_visible_to(scope) {
            return Err(self.unknown(model, scope));
        }
        Ok(Resolved { provider, model: entry })
    }

    /// Every instance's models, those not known yet loaded first.
    pub async fn all(&self) -> Vec<Arc<Catalogue>> {
        let instances = self.instances();
        join_all(instances.iter().map(|(name, provider)| self.catalogue(name, provider))).await
    }

    /// The operator's aliases with their targets.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.aliases.iter().map(|(alias, target)| (alias.as_str(), target.as_str()))
    }

    async fn catalogue(&self, instance: &str, provider: &Arc<dyn Provider>) -> Arc<Catalogue> {
        match self.catalogues.get(instance).await {
            Some(catalogue) => catalogue,
            None => self.catalogues.get_with_by_ref(instance, self.load(instance, provider)).await,
        }
    }

    async fn load(&self, instance: &str, provider: &Arc<dyn Provider>) -> Arc<Catalogue> {
        let fresh = load::catalogue(instance, provider, self.clock.now(), &self.meter).await;
        self.meter.catalogue_loaded(instance, fresh.failure.is_none());
        let Some(reason) = fresh.failure.clone() else {
            let fresh = Arc::new(fresh);
            self.last_good.rcu(|now| {
                let mut next = HashMap::clone(now);
                next.insert(instance.to_owned(), fresh.clone());
                next
            });
            return fresh;
        };
        tracing::warn!(instance, reason, "the models of an instance could not be loaded");
        match self.last_good.load().get(instance) {
            Some(last) => Arc::new(last.stale(reason)),
            None => Arc::new(fresh),
        }
    }

    /// A model that no list has.
    async fn single(&self, id: &str, provider: &Arc<dyn Provider>) -> Result<Arc<ModelEntry>, ServiceError> {
        if let Some(entry) = self.singles.get(id).await {
            return Ok(entry);
        }
        let asked: ModelId = id.parse().map_err(|_| self.unknown(id, ""))?;
        let found = self.singles.try_get_with_by_ref(id, async {
            let context = load::context("registry-model", Duration::from_secs(20));
            let info = provider.model(context, asked.model()).await?;
            Ok(Arc::new(ModelEntry::new(asked.instance(), info, &self.meter)))
        });
        found.await.map_err(|error: Arc<ProviderError>| match &*error {
            ProviderError::Reported { failure, .. } if failure.code == FailureCode::NotFound => {
                self.unknown(id, "")
            }
            other => ServiceError::Provider(other.clone()),
        })
    }

    fn cached(&self) -> Vec<Arc<Catalogue>> {
        self.last_good.load().values().cloned().collect()
    }

    fn unknown(&self, model: &str, scope: &str) -> ServiceError {
        let cached = self.cached();
        let visible =
            cached.iter().flat_map(|catalogue| catalogue.visible_to(scope)).map(|entry| entry.id.as_str());
        let known = visible.chain(self.aliases.keys().map(String::as_str));
        let nearest = nearest(model, known).into_iter().map(str::to_owned).collect();
        ServiceError::ModelUnknown { model: model.chars().take(256).collect(), nearest }
    }

    fn able(&self, task: Task, scope: &str) -> Vec<String> {
        let cached = self.cached();
        let mut able: Vec<String> = cached
            .iter()
            .flat_map(|catalogue| catalogue.visible_to(scope))
            .filter(|entry| entry.info.status.is_callable() && entry.info.tasks.contains(&task))
            .map(|entry| entry.id.as_str().to_owned())
            .collect();
        able.sort();
        able.truncate(NAMED_MAX);
        able
    }

    /// Renews what will be old soon; to be called every minute or so.
    pub async fn renew(&self) {
        let due = self.clock.now();
        for (name, provider) in self.instances() {
            let is_due = |last: &Arc<Catalogue>| last.loaded.plus(RENEWED_AFTER) <= due;
            let missing_or_due = self.catalogues.get(&name).await.as_ref().is_none_or(is_due);
            if missing_or_due {
                let catalogue = self.load(&name, &provider).await;
                // An instance removed or replaced meanwhile is not brought back.
                let is_current = self.provider(&name).is_some_and(|now| Arc::ptr_eq(&now, &provider));
                if is_current {
                    self.catalogues.insert(name, catalogue).await;
                }
            }
        }
    }

    /// When the instance's models were last loaded, if they are known.
    pub async fn loaded(&self, instance: &str) -> Option<Timestamp> {
        self.catalogues.get(instance).await.map(|catalogue| catalogue.loaded)
    }
}
