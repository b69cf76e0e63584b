//! The models of one instance.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use atelier_domain::id::{InstanceName, ModelId};
use atelier_domain::model::ModelInfo;
use atelier_domain::time::Timestamp;

use crate::generation::options::OptionsSchema;
use crate::meter::{Meter, ModelMeter};

/// A model with all that a call of it needs, made ready once.
#[derive(Debug)]
pub struct ModelEntry {
    pub id: ModelId,
    pub info: ModelInfo,
    /// Compiled with the first call.
    options: OnceLock<OptionsSchema>,
    source: Arc<dyn Meter>,
    meter: OnceLock<Arc<dyn ModelMeter>>,
    /// Its provider is paid by the caller, with a key of their own.
    pub is_own: bool,
}

impl ModelEntry {
    pub(super) fn new(instance: &str, info: ModelInfo, meter: &Arc<dyn Meter>) -> Self {
        let name: InstanceName = instance.parse().expect("an instance is configured by its parsed name");
        let id = ModelId::new(&name, &info.id);
        let source = meter.clone();
        Self { id, info, options: OnceLock::new(), source, meter: OnceLock::new(), is_own: false }
    }

    /// The same, called with a key of the caller's own.
    pub(crate) fn own(&self) -> Self {
        let (options, meter) = (OnceLock::new(), self.meter.clone());
        Self {
            id: self.id.clone(),
            info: self.info.clone(),
            options,
            source: self.source.clone(),
            meter,
            is_own: true,
        }
    }

    /// Its options' schema.
    pub fn options(&self) -> &OptionsSchema {
        self.options.get_or_init(|| OptionsSchema::compile(self.info.options_schema.as_ref()))
    }

    /// Its meter.
    pub fn meter(&self) -> &Arc<dyn ModelMeter> {
        self.meter.get_or_init(|| self.source.model(self.id.instance(), self.id.model()))
    }

    /// Whether a tenant may know of it.
    pub fn is_visible_to(&self, scope: &str) -> bool {
        self.info.owner.as_deref().is_none_or(|owner| owner == scope)
    }
}

/// The models of one instance at some time.
#[derive(Clone, Debug)]
pub struct Catalogue {
    pub instance: String,
    by_id: HashMap<String, usize>,
    models: Vec<Arc<ModelEntry>>,
    pub loaded: Timestamp,
    /// Why it is not fresh: the provider did not answer, and this is what it said before, or nothing.
    pub failure: Option<String>,
    /// Whether ids that it lacks may still be models.
    pub open_ended: bool,
}

impl Catalogue {
    pub(super) fn new(instance: &str, loaded: Timestamp) -> Self {
        Self {
            instance: instance.to_owned(),
            by_id: HashMap::new(),
            models: Vec::new(),
            loaded,
            failure: None,
            open_ended: false,
        }
    }

    /// The list of an instance that has not answered yet.
    pub(super) fn unanswered(instance: &str, now: Timestamp) -> Self {
        Self { failure: Some("it has not answered yet".to_owned()), ..Self::new(instance, now) }
    }

    /// Adds a model; a later one of the same id takes the earlier one's place.
    pub(super) fn put(&mut self, entry: ModelEntry) {
        match self.by_id.get(&entry.info.id) {
            Some(place) => self.models[*place] = Arc::new(entry),
            None => {
                self.by_id.insert(entry.info.id.clone(), self.models.len());
                self.models.push(Arc::new(entry));
            }
        }
    }

    pub(super) fn stale(&self, reason: String) -> Self {
        Self { failure: Some(reason), ..self.clone() }
    }

    /// The model with the provider's own id.
    pub fn get(&self, id: &str) -> Option<&Arc<ModelEntry>> {
        self.by_id.get(id).map(|place| &self.models[*place])
    }

    /// What a tenant may see, in the provider's order.
    pub fn visible_to(&self, scope: &str) -> impl Iterator<Item = &Arc<ModelEntry>> {
        self.models.iter().filter(move |entry| entry.is_visible_to(scope))
    }

    pub(super) fn len(&self) -> usize {
        self.models.len()
    }
}
