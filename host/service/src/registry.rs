//! Which provider serves a model, and what its models are.

mod catalogue;
mod load;
mod lots;
mod shelf;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use atelier_domain::account::Scope;
use atelier_domain::alias::{Alias, Aliases};
use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::id::{InstanceName, ModelId};
use atelier_domain::model::Task;
use atelier_domain::provider::Provider;
use atelier_domain::text::nearest;
use atelier_domain::time::Clock;
use futures::future::join_all;
use futures::{StreamExt, stream};
use moka::future::Cache;

pub use catalogue::{Catalogue, ModelEntry};
use lots::Lots;
use shelf::{Shelf, Slot};

use crate::ServiceError;
use crate::caller::Caller;
use crate::meter::Meter;
use crate::screening::{Screened, Screening};

/// How long metadata of single models counts as fresh (M-3).
const FRESH_FOR: Duration = Duration::from_secs(3600);
/// How long a list of all models waits for an instance that has never answered.
const LISTING_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long one model is looked up.
const SINGLE_WAIT_MAX: Duration = Duration::from_secs(20);
/// Instances asked at once.
const RENEWALS_MAX: usize = 8;
/// Models looked up one by one, at providers whose lists are not complete.
const SINGLE_MODELS_MAX: u64 = 10_000;
/// Models named in an error.
const NAMED_MAX: usize = 5;

type Slots = HashMap<String, Arc<Slot>>;

/// A model with who serves it.
#[derive(Clone, Debug)]
pub struct Target {
    pub provider: Arc<dyn Provider>,
    pub model: Arc<ModelEntry>,
}

/// A model that can be called now.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub provider: Arc<dyn Provider>,
    pub model: Arc<ModelEntry>,
    /// What may step in for it, in this order: the other targets of the alias that was asked for.
    pub fallbacks: Vec<Target>,
}

/// Who looks for a model.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a> {
    scope: &'a str,
    is_administrator: bool,
}

impl<'a> From<&'a str> for Viewer<'a> {
    /// A tenant by its scope, with no rights beyond.
    fn from(scope: &'a str) -> Self {
        Self { scope, is_administrator: false }
    }
}

impl<'a> From<&'a Caller> for Viewer<'a> {
    fn from(caller: &'a Caller) -> Self {
        Self { scope: &caller.scope, is_administrator: caller.principal.may(Scope::Admin) }
    }
}

impl Viewer<'static> {
    /// Who configured this host.
    pub(crate) fn operator() -> Self {
        Self { scope: "", is_administrator: true }
    }
}

impl Viewer<'_> {
    fn may_use(self, alias: &Alias) -> bool {
        self.is_administrator || !alias.is_for_administrators
    }
}

/// All configured instances and their models.
#[derive(Debug)]
pub struct Registry {
    slots: ArcSwap<Slots>,
    aliases: Aliases,
    lots: Lots,
    shelf: Arc<Shelf>,
    singles: Cache<String, Arc<ModelEntry>>,
    clock: Arc<dyn Clock>,
    meter: Arc<dyn Meter>,
    /// What judges prompts, if anything does.
    screening: Option<Arc<Screening>>,
}

impl Registry {
    /// A registry without instances. The aliases are the operator's, and were checked.
    pub fn new(aliases: Aliases, clock: Arc<dyn Clock>, meter: Arc<dyn Meter>) -> Self {
        Self {
            slots: ArcSwap::default(),
            aliases,
            lots: Lots::new(),
            shelf: Arc::new(Shelf::new(clock.clone(), meter.clone())),
            singles: Cache::builder().max_capacity(SINGLE_MODELS_MAX).time_to_live(FRESH_FOR).build(),
            clock,
            meter,
            screening: None,
        }
    }

    /// The same, whose lots among an alias's targets are drawn from a seed.
    #[must_use]
    pub fn seeded(self, seed: u64) -> Self {
        Self { lots: Lots::seeded(seed), ..self }
    }

    /// The same, whose instances are sent no prompt before it was judged.
    #[must_use]
    pub fn screened_by(self, screening: Option<Screening>) -> Self {
        Self { screening: screening.map(Arc::new), ..self }
    }

    /// Whether prompts are judged.
    pub(crate) fn is_screened(&self) -> bool {
        self.screening.is_some()
    }

    /// Adds or replaces an instance. Running calls go on with what they began with.
    pub async fn put(self: &Arc<Self>, name: &InstanceName, provider: Arc<dyn Provider>) {
        let provider = match &self.screening {
            Some(screening) if screening.covers(name.as_str()) => {
                let registry = Arc::downgrade(self);
                Arc::new(Screened::new(provider, name.as_str(), screening.clone(), registry))
            }
            _ => provider,
        };
        let slot = Arc::new(Slot::new(name.as_str(), provider));
        let before = self.slots.rcu(|now| {
            let mut next = Slots::clone(now);
            next.insert(name.as_str().to_owned(), slot.clone());
            next
        });
        if let Some(old) = before.get(name.as_str()) {
            self.forget(old).await;
        }
    }

    /// Removes an instance; `false` if there was none.
    pub async fn remove(&self, name: &InstanceName) -> bool {
        let before = self.slots.rcu(|now| {
            let mut next = Slots::clone(now);
            next.remove(name.as_str());
            next
        });
        match before.get(name.as_str()) {
            Some(old) => {
                self.forget(old).await;
                true
            }
            None => false,
        }
    }

    async fn forget(&self, slot: &Slot) {
        self.shelf.forget(slot).await;
        let prefix = format!("{}/", slot.key);
        let outdated: Vec<_> =
            self.singles.iter().filter(|(id, _)| id.starts_with(&prefix)).map(|(id, _)| id).collect();
        for id in outdated {
            self.singles.invalidate(id.as_str()).await;
        }
    }

    fn slot(&self, instance: &str) -> Option<Arc<Slot>> {
        self.slots.load().get(instance).cloned()
    }

    /// The instance of that name.
    pub fn provider(&self, instance: &str) -> Option<Arc<dyn Provider>> {
        self.slot(instance).map(|slot| slot.provider.clone())
    }

    /// All instances, by name.
    pub fn instances(&self) -> Vec<(String, Arc<dyn Provider>)> {
        self.all_slots().into_iter().map(|slot| (slot.name.clone(), slot.provider.clone())).collect()
    }

    fn all_slots(&self) -> Vec<Arc<Slot>> {
        let mut all: Vec<_> = self.slots.load().values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The provider and model for an id or alias, if the model can do the task now. Of an alias's targets, those that can are taken:
    /// the first by its share, the others as what may step in for it.
    ///
    /// # Errors
    /// No such model (with its neighbours), not callable, not able (with those that are), or its provider is silent.
    pub async fn resolve<'v>(
        &self,
        model: &str,
        task: Task,
        viewer: impl Into<Viewer<'v>>,
    ) -> Result<Resolved, ServiceError> {
        let viewer = viewer.into();
        let Some(alias) = self.alias(model, viewer) else {
            let Target { provider, model } = self.able_target(model, task, viewer).await?;
            return Ok(Resolved { provider, model, fallbacks: Vec::new() });
        };
        let (mut found, mut refused) = (Vec::with_capacity(alias.targets.len()), None);
        for id in alias.order(self.lots.draw()) {
            match self.able_target(id.as_str(), task, viewer).await {
                Ok(target) => found.push(target),
                Err(error) => {
                    refused.get_or_insert(error);
                }
            }
        }
        let mut found = found.into_iter();
        match (found.next(), refused) {
            (Some(Target { provider, model }), _) => {
                Ok(Resolved { provider, model, fallbacks: found.collect() })
            }
            (None, Some(error)) => Err(error),
            (None, None) => Err(self.unknown(model, viewer)),
        }
    }

    async fn able_target(&self, id: &str, task: Task, viewer: Viewer<'_>) -> Result<Target, ServiceError> {
        let found = self.target(id, viewer).await?;
        let info = &found.model.info;
        if !info.status.is_callable() {
            return Err(ServiceError::ModelNotCallable { model: id.to_owned(), status: info.status });
        }
        if !info.tasks.contains(&task) {
            let able = self.able(task, viewer.scope);
            return Err(ServiceError::ModelCannot { model: id.to_owned(), task, able });
        }
        Ok(found)
    }

    /// The provider and model for an id, or the first target of an alias, whatever it can do.
    ///
    /// # Errors
    /// No such model (with its neighbours), or its provider is silent.
    pub async fn find<'v>(&self, model: &str, viewer: impl Into<Viewer<'v>>) -> Result<Target, ServiceError> {
        let viewer = viewer.into();
        let first = self.alias(model, viewer).and_then(|alias| alias.targets.first());
        self.target(first.map_or(model, |target| target.model.as_str()), viewer).await
    }

    fn alias(&self, name: &str, viewer: Viewer<'_>) -> Option<&Alias> {
        self.aliases.get(name).filter(|alias| viewer.may_use(alias))
    }

    async fn target(&self, id: &str, viewer: Viewer<'_>) -> Result<Target, ServiceError> {
        let Some((instance, own_id)) = id.split_once('/') else { return Err(self.unknown(id, viewer)) };
        let Some(slot) = self.slot(instance) else { return Err(self.unknown(id, viewer)) };
        let catalogue = self.shelf.catalogue(&slot).await;
        let entry = match catalogue.get(own_id) {
            Some(entry) => entry.clone(),
            None if catalogue.open_ended => self.single(own_id, &slot, viewer).await?,
            None => match &catalogue.failure {
                Some(reason) => {
                    let (instance, reason) = (instance.to_owned(), reason.clone());
                    return Err(ServiceError::CatalogueUnavailable { instance, reason });
                }
                None => return Err(self.unknown(id, viewer)),
            },
        };
        if !entry.is_visible_to(viewer.scope) {
            return Err(self.unknown(id, viewer));
        }
        Ok(Target { provider: slot.provider.clone(), model: entry })
    }

    /// Every instance's models. One that has not answered yet is not waited for long: its list is then empty, and says so.
    /// A request that came back to this host (`depth` above zero) is told of the in-house models alone: a host that discovers
    /// itself would wait for its own answer.
    pub async fn all(&self, depth: u32) -> Vec<Arc<Catalogue>> {
        let mut slots = self.all_slots();
        slots.retain(|slot| depth == 0 || slot.provider.is_in_house());
        join_all(slots.iter().map(|slot| async move {
            match tokio::time::timeout(LISTING_WAIT_MAX, self.shelf.catalogue(slot)).await {
                Ok(catalogue) => catalogue,
                Err(_) => Arc::new(Catalogue::unanswered(&slot.name, self.clock.now())),
            }
        }))
        .await
    }

    /// The operator's aliases that a caller may use, by name.
    pub fn aliases<'v>(&self, viewer: impl Into<Viewer<'v>>) -> Vec<(&str, &Alias)> {
        let viewer = viewer.into();
        let all = self.aliases.iter().filter(|(_, alias)| viewer.may_use(alias));
        let mut all: Vec<_> = all.map(|(name, alias)| (name.as_str(), alias)).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }

    /// A model that no list has.
    async fn single(
        &self,
        own_id: &str,
        slot: &Slot,
        viewer: Viewer<'_>,
    ) -> Result<Arc<ModelEntry>, ServiceError> {
        let id = format!("{}/{own_id}", slot.name);
        // An id that is none is not asked for.
        if id.parse::<ModelId>().is_err() {
            return Err(self.unknown(&id, viewer));
        }
        let found = self.singles.try_get_with(format!("{}/{own_id}", slot.key), async {
            let context = load::context("registry-model", SINGLE_WAIT_MAX);
            match tokio::time::timeout(SINGLE_WAIT_MAX, slot.provider.model(context, own_id)).await {
                Ok(Ok(info)) => Ok(Arc::new(ModelEntry::new(&slot.name, info, &self.meter))),
                Ok(Err(ProviderError::Reported { failure, .. })) if failure.code == FailureCode::NotFound => {
                    Err(self.unknown(&id, viewer))
                }
                Ok(Err(error)) => Err(error.into()),
                Err(_) => {
                    Err(ServiceError::TimedOut { what: "looking the model up", after: SINGLE_WAIT_MAX })
                }
            }
        });
        found.await.map_err(|error| (*error).clone())
    }

    fn unknown(&self, model: &str, viewer: Viewer<'_>) -> ServiceError {
        let cached = self.shelf.known();
        let visible = cached.iter().flat_map(|catalogue| catalogue.visible_to(viewer.scope));
        let aliases = self.aliases.iter().filter(|(_, alias)| viewer.may_use(alias));
        let known = visible.map(|entry| entry.id.as_str()).chain(aliases.map(|(name, _)| name.as_str()));
        let nearest = nearest(model, known).into_iter().map(str::to_owned).collect();
        ServiceError::ModelUnknown { model: model.chars().take(256).collect(), nearest }
    }

    fn able(&self, task: Task, scope: &str) -> Vec<String> {
        let cached = self.shelf.known();
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
        let renewals = self.all_slots().into_iter().map(|slot| async move { self.shelf.renew(&slot).await });
        stream::iter(renewals).for_each_concurrent(RENEWALS_MAX, |renewal| renewal).await;
    }
}
