//! A model as OpenAI's API writes it, with what Atelier knows beyond.

use atelier_service::error::status_word;
use atelier_service::registry::ModelEntry;
use serde::Serialize;
use utoipa::ToSchema;

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

words! {
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
