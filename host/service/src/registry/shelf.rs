//! What is known of each instance's models: fresh for an hour, then renewed behind the requests that use it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use atelier_domain::provider::Provider;
use atelier_domain::time::Clock;
use moka::Expiry;
use moka::future::Cache;

use super::catalogue::Catalogue;
use super::load;
use crate::meter::Meter;

/// How long a list counts as fresh (M-3).
const FRESH_FOR: Duration = Duration::from_secs(3600);
/// Older lists are renewed in the background before they expire.
const RENEWED_AFTER: Duration = Duration::from_secs(3000);
/// How soon a provider that did not answer is asked again.
const STALE_FOR: Duration = Duration::from_secs(30);
const INSTANCES_MAX: u64 = 10_000;

/// An instance from when it was put to when it is removed or replaced.
#[derive(Debug)]
pub(super) struct Slot {
    pub name: String,
    pub provider: Arc<dyn Provider>,
    /// Its name in caches, never used again: what is still being loaded for an instance that was replaced never passes
    /// for its successor's.
    pub key: String,
    is_retired: AtomicBool,
}

impl Slot {
    pub(super) fn new(name: &str, provider: Arc<dyn Provider>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let key = format!("{name}#{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Self { name: name.to_owned(), provider, key, is_retired: AtomicBool::new(false) }
    }
}

/// Every instance's list of models.
#[derive(Debug)]
pub(super) struct Shelf {
    fresh: Cache<String, Arc<Catalogue>>,
    /// The last list of each instance, with a mark if it is stale. One entry for each instance.
    last: ArcSwap<HashMap<String, Arc<Catalogue>>>,
    /// Instances being asked in the background.
    asking: Mutex<HashSet<String>>,
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

impl Shelf {
    pub(super) fn new(clock: Arc<dyn Clock>, meter: Arc<dyn Meter>) -> Self {
        let fresh = Cache::builder().max_capacity(INSTANCES_MAX).expire_after(ByFreshness).build();
        Self { fresh, last: ArcSwap::default(), asking: Mutex::default(), clock, meter }
    }

    /// An instance's models. Only where nothing is known yet does this wait for the provider; concurrent callers share
    /// one load.
    pub(super) async fn catalogue(self: &Arc<Self>, slot: &Arc<Slot>) -> Arc<Catalogue> {
        if let Some(catalogue) = self.fresh.get(slot.key.as_str()).await {
            return catalogue;
        }
        let known = self.last.load().get(&slot.key).cloned();
        match known {
            Some(known) => {
                self.ask_in_background(slot);
                known
            }
            None => self.fresh.get_with_by_ref(slot.key.as_str(), self.load(slot)).await,
        }
    }

    fn ask_in_background(self: &Arc<Self>, slot: &Arc<Slot>) {
        if !self.asking().insert(slot.key.clone()) {
            return;
        }
        let (shelf, slot) = (self.clone(), slot.clone());
        tokio::spawn(async move {
            shelf.fresh.get_with_by_ref(slot.key.as_str(), shelf.load(&slot)).await;
            shelf.asking().remove(&slot.key);
        });
    }

    /// The set stays consistent whatever panics beside it, so that a poisoned lock is still good.
    fn asking(&self) -> MutexGuard<'_, HashSet<String>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the provider. Where it fails, what it said before is given with a mark.
    async fn load(&self, slot: &Slot) -> Arc<Catalogue> {
        let loaded = load::catalogue(&slot.name, &slot.provider, self.clock.now(), &self.meter).await;
        self.meter.catalogue_loaded(&slot.name, loaded.failure.is_none());
        let last = self.last.load().get(&slot.key).cloned();
        let catalogue = match (&loaded.failure, last) {
            (None, _) => Arc::new(loaded),
            (Some(reason), last) => {
                tracing::warn!(instance = slot.name, reason, "the models of an instance could not be loaded");
                match last.filter(|last| last.len() > loaded.len()) {
                    Some(last) => Arc::new(last.stale(reason.clone())),
                    None => Arc::new(loaded),
                }
            }
        };
        self.change_last(|last| {
            if !slot.is_retired.load(Ordering::Acquire) {
                last.insert(slot.key.clone(), catalogue.clone());
            }
        });
        catalogue
    }

    fn change_last(&self, change: impl Fn(&mut HashMap<String, Arc<Catalogue>>)) {
        self.last.rcu(|now| {
            let mut next = HashMap::clone(now);
            change(&mut next);
            next
        });
    }

    /// Asks again where a list is missing or will be old soon.
    pub(super) async fn renew(&self, slot: &Slot) {
        match self.fresh.get(slot.key.as_str()).await {
            Some(catalogue) if catalogue.loaded.plus(RENEWED_AFTER) > self.clock.now() => {}
            Some(_) => {
                let catalogue = self.load(slot).await;
                self.fresh.insert(slot.key.clone(), catalogue).await;
            }
            None => drop(self.fresh.get_with_by_ref(slot.key.as_str(), self.load(slot)).await),
        }
    }

    pub(super) async fn forget(&self, slot: &Slot) {
        slot.is_retired.store(true, Ordering::Release);
        self.change_last(|last| drop(last.remove(&slot.key)));
        self.fresh.invalidate(slot.key.as_str()).await;
    }

    /// What is known of all instances now.
    pub(super) fn known(&self) -> Vec<Arc<Catalogue>> {
        self.last.load().values().cloned().collect()
    }
}
