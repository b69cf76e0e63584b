//! A model as OpenAI's API writes it, with what Atelier knows beyond.

use atelier_service::error::status_word;
use atelier_service::registry::ModelEntry;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct ModelView<'a> {
    id: &'a str,
    object: &'static str,
    /// Unix seconds, 0 if unknown.
    created: u64,
    owned_by: &'a str,
    name: &'a str,
    status: &'static str,
    tasks: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    /// Why the provider's list is not fresh.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
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
