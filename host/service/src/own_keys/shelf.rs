//! One user's keys, with what was made of them.

use std::collections::HashMap;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use atelier_domain::plugin::OwnKey;
use atelier_domain::provider::Provider;

use crate::ServiceError;
use crate::registry::{ModelEntry, Target};

/// Models under own keys that are kept ready for one instance.
const MODELS_MAX: usize = 64;

/// One user's keys. It goes when one of them changes.
pub(super) struct Shelf {
    pub keys: Vec<OwnKey>,
    /// By instance.
    made: Mutex<HashMap<String, Made>>,
}

struct Made {
    /// What it was made of: an instance that is configured or installed anew is another.
    base: Arc<dyn Provider>,
    own: Arc<dyn Provider>,
    models: HashMap<String, (Arc<ModelEntry>, Arc<ModelEntry>)>,
}

impl Shelf {
    pub fn new(keys: Vec<OwnKey>) -> Self {
        Self { keys, made: Mutex::default() }
    }

    /// An instance under the key that is kept for it, if there is one.
    ///
    /// # Errors
    /// The instance does not take it.
    pub fn provider(
        &self,
        instance: &str,
        base: &Arc<dyn Provider>,
    ) -> Result<Option<Arc<dyn Provider>>, ServiceError> {
        self.with(instance, base, |made| made.own.clone())
    }

    /// The same with the model that is asked for.
    ///
    /// # Errors
    /// As [`Shelf::provider`].
    pub fn own(
        &self,
        base: &Arc<dyn Provider>,
        model: &Arc<ModelEntry>,
    ) -> Result<Option<Target>, ServiceError> {
        let target = |made: &mut Made| Target { provider: made.own.clone(), model: made.model(model) };
        self.with(model.id.instance(), base, target)
    }

    fn with<T>(
        &self,
        instance: &str,
        base: &Arc<dyn Provider>,
        take: impl FnOnce(&mut Made) -> T,
    ) -> Result<Option<T>, ServiceError> {
        let Some(key) = self.keys.iter().find(|key| key.instance.as_str() == instance) else {
            return Ok(None);
        };
        let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = all.get_mut(instance)
            && ptr::addr_eq(Arc::as_ptr(&made.base), Arc::as_ptr(base))
        {
            return Ok(Some(take(made)));
        }
        let own = base.with_secrets(&key.secrets);
        let own = own.map_err(|why| ServiceError::OwnKeyUnusable { instance: instance.to_owned(), why })?;
        let mut made = Made { base: base.clone(), own, models: HashMap::new() };
        let taken = take(&mut made);
        all.insert(instance.to_owned(), made);
        Ok(Some(taken))
    }
}

impl Made {
    fn model(&mut self, base: &Arc<ModelEntry>) -> Arc<ModelEntry> {
        let id = base.id.as_str();
        if let Some((known, own)) = self.models.get(id)
            && Arc::ptr_eq(known, base)
        {
            return own.clone();
        }
        if self.models.len() >= MODELS_MAX {
            self.models.clear();
        }
        let own = Arc::new(base.own());
        self.models.insert(id.to_owned(), (base.clone(), own.clone()));
        own
    }
}
