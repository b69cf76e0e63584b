//! Prompt templates: written by administrators, filled in by callers, who never see the prompt (G-14).

mod fill;
mod language;
mod render;
mod write;

use std::sync::Arc;

use atelier_domain::account::{Role, Scope};
use atelier_domain::id::TemplateId;
use atelier_domain::store::TemplateStore;
use atelier_domain::template::{Template, TemplateFilter};
use atelier_domain::time::Clock;
use moka::sync::Cache;

use crate::caller::Caller;
use crate::registry::Registry;
use crate::{ServiceError, StoragePool};

pub use fill::{Filled, FilledFile, Given, message_part};
use render::Prompt;
pub use render::PromptFault;
pub use write::{NewTemplate, Seeded};

/// Templates that are not archived.
const TEMPLATES_MAX: usize = 1_000;
/// Versions of one template.
const VERSIONS_MAX: u32 = 1_000;
/// Templates whose prompts are kept ready.
const READY_MAX: u64 = 1_000;
/// No such template, or none that the caller may know of.
const UNKNOWN: ServiceError = ServiceError::NotFound { what: "such template" };

/// The prompts of a template, ready to be filled in.
#[derive(Debug)]
struct Prompts {
    prompt: Prompt,
    negative: Option<Prompt>,
}

/// Templates of all administrators.
#[derive(Debug)]
pub struct Templates {
    store: Arc<dyn TemplateStore>,
    pool: StoragePool,
    clock: Arc<dyn Clock>,
    registry: Arc<Registry>,
    ready: Cache<(TemplateId, u32), Arc<Prompts>>,
}

impl Templates {
    /// Templates in a store.
    pub fn new(
        store: Arc<dyn TemplateStore>,
        pool: StoragePool,
        clock: Arc<dyn Clock>,
        registry: Arc<Registry>,
    ) -> Self {
        Self { store, pool, clock, registry, ready: Cache::new(READY_MAX) }
    }

    /// The newest version of a template that the caller may use; administrators see archived ones too.
    ///
    /// # Errors
    /// There is none such.
    pub async fn get(&self, caller: &Caller, id: TemplateId) -> Result<Template, ServiceError> {
        let store = self.store.clone();
        let found = self.pool.run(move || store.template(id)).await?;
        let is_administrator = is_administrator(caller);
        found
            .filter(|template| template.archived.is_none() || is_administrator)
            .filter(|template| template.is_for(caller.user(), is_administrator))
            .ok_or(UNKNOWN)
    }

    /// A page of the templates that the caller may use, newest first.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: TemplateFilter,
        before: Option<TemplateId>,
        limit: usize,
    ) -> Result<Vec<Template>, ServiceError> {
        let (store, user, is_administrator) = (self.store.clone(), caller.user(), is_administrator(caller));
        let is_wanted = move |template: &Template| template.is_for(user, is_administrator);
        self.pool.run(move || store.templates(&filter, before, limit, &is_wanted)).await
    }

    /// The prompts of a template, compiled at most once for each version.
    fn prompts(&self, template: &Template) -> Result<Arc<Prompts>, ServiceError> {
        let key = (template.id, template.version);
        if let Some(ready) = self.ready.get(&key) {
            return Ok(ready);
        }
        let prompts = Arc::new(write::compiled(template)?);
        self.ready.insert(key, prompts.clone());
        Ok(prompts)
    }
}

fn is_administrator(caller: &Caller) -> bool {
    caller.principal.role == Role::Administrator && caller.principal.may(Scope::Admin)
}

/// Whatever the caller's route let through.
fn authorised(caller: &Caller) -> Result<(), ServiceError> {
    if is_administrator(caller) { Ok(()) } else { Err(ServiceError::ScopeMissing(Scope::Admin)) }
}
