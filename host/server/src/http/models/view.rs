//! A model as OpenAI's API writes it, with what Atelier knows beyond.

use std::collections::BTreeSet;
use std::sync::Arc;

use atelier_domain::model::{ModelStatus, Task};
use atelier_service::caller::Caller;
use atelier_service::error::status_word;
use atelier_service::registry::{Catalogue, ModelEntry};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::openapi::words;

#[derive(Serialize, ToSchema)]
#[schema(as = Model)]
pub(super) struct ModelView<'a> {
    /// `instance/model`: what calls name.
    id: &'a str,
    #[schema(inline, value_type = ModelWord)]
    object: &'static str,
    /// Unix seconds, 0 if unknown.
    created: u64,
    /// The instance.
    owned_by: &'a str,
    /// For people.
    name: &'a str,
    // Only `available` and `experimental` models can be called.
    #[schema(inline, value_type = StatusWord)]
    status: &'static str,
    /// What it can be asked to do.
    tasks: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// Tokens.
    context_window: Option<u64>,
    /// The provider does not answer at the moment, so that this is what it said before; absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
}

/// An operator's name for models, as one of them.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelAlias)]
pub(super) struct AliasView {
    /// The alias: what calls name.
    id: String,
    #[schema(inline, value_type = ModelWord)]
    object: &'static str,
    created: u64,
    #[schema(inline, value_type = OperatorWord)]
    owned_by: &'static str,
    name: String,
    #[schema(inline, value_type = StatusWord)]
    status: &'static str,
    /// What one of its models at least can be asked to do.
    tasks: Vec<&'static str>,
    /// The models that may answer. Which one did is told by `model`, and by the header `x-atelier-model`.
    targets: Vec<String>,
}

impl AliasView {
    pub(super) fn is(&self, id: &str) -> bool {
        self.id == id
    }
}

/// A model, or an operator's name for some.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ModelOrAlias)]
pub(super) enum AnyModel<'a> {
    Model(ModelView<'a>),
    Alias(AliasView),
}

/// The aliases that a caller may use, with what is known of their models.
pub(super) fn aliased(app: &App, caller: &Caller, known: &[Arc<Catalogue>]) -> Vec<AliasView> {
    let mut views = Vec::new();
    for (name, alias) in app.registry.aliases(caller) {
        let (mut tasks, mut status) = (BTreeSet::new(), ModelStatus::ComingSoon);
        for target in &alias.targets {
            let its_own = |catalogue: &&Arc<Catalogue>| catalogue.instance == target.model.instance();
            let entry = known.iter().find(its_own).and_then(|catalogue| catalogue.get(target.model.model()));
            // One whose provider is silent says nothing.
            let Some(entry) = entry.filter(|entry| entry.is_visible_to(&caller.scope)) else { continue };
            tasks.extend(entry.info.tasks.iter().copied());
            if entry.info.status.is_callable() {
                status = ModelStatus::Available;
            }
        }
        views.push(AliasView {
            id: name.to_owned(),
            object: "model",
            created: 0,
            owned_by: "operator",
            name: name.to_owned(),
            status: status_word(status),
            tasks: tasks.into_iter().map(Task::as_str).collect(),
            targets: alias.targets.iter().map(|target| target.model.as_str().to_owned()).collect(),
        });
    }
    views
}

words! {
    OperatorWord: "operator";
    ModelWord: "model";
    StatusWord: "available" | "experimental" | "coming-soon" | "deprecated";
}

/// A model, for the reference.
pub(super) fn sample() -> serde_json::Value {
    serde_json::json!({"id": "local/smollm2-135m-instruct", "object": "model", "created": 0, "owned_by": "local",
        "name": "SmolLM2 135M Instruct", "status": "available", "tasks": ["chat"], "context_window": 2048})
}

impl<'a> ModelView<'a> {
    pub(super) fn of(entry: &'a ModelEntry, stale: bool) -> Self {
        Self {
            id: entry.id.as_str(),
            object: "model",
            created: entry.info.created,
            owned_by: entry.id.instance(),
            name: &entry.info.name,
            status: status_word(entry.info.status),
            tasks: entry.info.tasks.iter().map(|task| task.as_str()).collect(),
            context_window: entry.info.limits.context_tokens,
            stale,
        }
    }
}
