//! Which models there are (`GET /models`), and whether the key is good (`GET /me`).

use atelier_plugin_sdk::catalog::{Description, Limits, Model, ModelPage, Status, VoicePage};
use atelier_plugin_sdk::http::{Request, escape};
use atelier_plugin_sdk::{CallContext, Catalog, Failure};
use serde::Deserialize;

use crate::Acme;

/// The largest list that is read, in bytes.
const LIST_BYTES_MAX: u32 = 1 << 20;

#[derive(Deserialize)]
struct Listed {
    models: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    name: String,
    tasks: Vec<String>,
}

impl Catalog for Acme {
    /// Asks nobody: what is here is known without a key.
    fn describe() -> Result<Description, Failure> {
        let models = vec![
            model("acme-chat", "Acme Chat", &["chat"]),
            model("acme-embedding", "Acme Embedding", &["embedding"]),
            model("acme-media", "Acme Media", &["image-generation"]),
            model("acme-moderation", "Acme Moderation", &["moderation"]),
            model("acme-speech", "Acme Speech", &["speech"]),
            model("acme-transcription", "Acme Transcription", &["transcription"]),
        ];
        Ok(Description { models, discovers: true, open_ended: false })
    }

    /// One page: this provider's list has no others.
    fn discover(context: CallContext, _cursor: Option<String>) -> Result<ModelPage, Failure> {
        let url = format!("{}/models", context.base_url);
        let listed: Listed = Request::get(url).send()?.success()?.json(LIST_BYTES_MAX)?;
        Ok(ModelPage { models: listed.models.into_iter().filter_map(known).collect(), next: None })
    }

    fn get_model(context: CallContext, id: String) -> Result<Model, Failure> {
        let url = format!("{}/models/{}", context.base_url, escape(&id));
        let entry: Entry = Request::get(url).send()?.success()?.json(LIST_BYTES_MAX)?;
        known(entry).ok_or_else(|| Failure::not_found(format!("{id} does nothing that this plugin can")))
    }

    fn voices(_context: CallContext, _model: String, _cursor: Option<String>) -> Result<VoicePage, Failure> {
        Err(Failure::unsupported("this provider does not list its voices"))
    }

    fn check(context: CallContext) -> Result<(), Failure> {
        Request::get(format!("{}/me", context.base_url)).send()?.success()?;
        Ok(())
    }
}

/// A listed model, if it does something that is exported.
fn known(entry: Entry) -> Option<Model> {
    let described = Acme::describe().ok()?.models;
    let is_here = |task: &str| described.iter().any(|model| model.tasks.iter().any(|known| known == task));
    let tasks: Vec<&str> = entry.tasks.iter().map(String::as_str).filter(|task| is_here(task)).collect();
    (!tasks.is_empty()).then(|| model(&entry.id, &entry.name, &tasks))
}

fn model(id: &str, name: &str, tasks: &[&str]) -> Model {
    Model {
        id: id.to_owned(),
        name: name.to_owned(),
        description: None,
        status: Status::Available,
        tasks: tasks.iter().map(|task| (*task).to_owned()).collect(),
        input_modalities: Vec::new(),
        features: vec!["streaming".to_owned()],
        limits: Limits {
            context_tokens: None,
            output_tokens: None,
            input_characters: None,
            batch: None,
            media_bytes: None,
        },
        // JSON Schema of the options that this model takes beside the request's own fields.
        options_schema: None,
        prices: Vec::new(),
        owner: None,
        created: 0,
    }
}
