//! Models and voices. A guest's lists are bounded by what one host call may copy.

use atelier_domain::model as domain;

use super::pairs;
use crate::v0_1::bindings::catalog::exports::atelier::provider::catalog as wit;

/// A model; `None` if none of its tasks is known here.
///
/// # Errors
/// Its options' schema is not JSON.
pub fn model(model: wit::Model) -> Result<Option<domain::ModelInfo>, String> {
    let tasks: Vec<_> = model.tasks.iter().filter_map(|word| domain::Task::from_word(word)).collect();
    if tasks.is_empty()
        || model.id.is_empty()
        || model.id.len() > 200
        || model.id.chars().any(char::is_control)
    {
        return Ok(None);
    }
    let options_schema = model
        .options_schema
        .map(|text| serde_json::from_str(&text).map_err(|error| format!("a schema is malformed: {error}")))
        .transpose()?;
    Ok(Some(domain::ModelInfo {
        id: model.id,
        name: model.name,
        description: model.description,
        status: match model.status {
            wit::Status::Available => domain::ModelStatus::Available,
            wit::Status::Experimental => domain::ModelStatus::Experimental,
            wit::Status::ComingSoon => domain::ModelStatus::ComingSoon,
            wit::Status::Deprecated => domain::ModelStatus::Deprecated,
        },
        tasks,
        input_modalities: model.input_modalities,
        features: model.features,
        limits: domain::ModelLimits {
            context_tokens: model.limits.context_tokens,
            output_tokens: model.limits.output_tokens,
            input_characters: model.limits.input_characters,
            batch: model.limits.batch,
            media_bytes: model.limits.media_bytes,
        },
        options_schema,
        prices: model
            .prices
            .into_iter()
            .map(|price| domain::Price {
                meter: price.meter,
                attributes: pairs(price.attributes),
                usd_micros_per_million: price.usd_micros_per_million,
            })
            .collect(),
        owner: model.owner,
        created: model.created,
    }))
}

fn models(models: Vec<wit::Model>) -> Result<Vec<domain::ModelInfo>, String> {
    models.into_iter().filter_map(|each| model(each).transpose()).collect()
}

/// What a provider says of itself.
///
/// # Errors
/// A schema is not JSON.
pub fn description(description: wit::Description) -> Result<domain::Description, String> {
    Ok(domain::Description {
        models: models(description.models)?,
        discovers: description.discovers,
        open_ended: description.open_ended,
    })
}

/// A page of models.
///
/// # Errors
/// A schema is not JSON.
pub fn page(page: wit::ModelPage) -> Result<domain::Page<domain::ModelInfo>, String> {
    Ok(domain::Page { items: models(page.models)?, next: page.next })
}

/// A page of voices.
pub fn voices(page: wit::VoicePage) -> domain::Page<domain::Voice> {
    let items = page
        .voices
        .into_iter()
        .map(|voice| domain::Voice {
            id: voice.id,
            name: voice.name,
            languages: voice.languages,
            preview_url: voice.preview_url,
            labels: pairs(voice.labels),
            owner: voice.owner,
        })
        .collect();
    domain::Page { items, next: page.next }
}
