//! Which inputs a model has, as its schema names them. Kept for an hour, so that only the first call asks.

use crate::api::Api;
use crate::id::ModelId;
use atelier_plugin_sdk::{Failure, cache, failure::code, json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

const KEPT_MS: u64 = 60 * 60 * 1000;
const DOCUMENT_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// What is known of a model.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its inputs' names, and whether each is a list; `None` if it does not say.
    pub inputs: Option<BTreeMap<String, bool>>,
    /// The version to call where the name alone is not enough: only official models are called by name.
    pub version: Option<String>,
}

/// A model or a version, as far as it matters here.
#[derive(Deserialize)]
struct Document {
    is_official: Option<bool>,
    latest_version: Option<Version>,
    openapi_schema: Option<Value>,
}

#[derive(Deserialize)]
struct Version {
    id: Option<String>,
    openapi_schema: Option<Value>,
}

impl Found {
    /// A model without a schema: its inputs are taken to have the likeliest names.
    pub fn unknown() -> Self {
        Self { inputs: None, version: None }
    }

    pub fn has(&self, name: &str) -> bool {
        self.inputs.as_ref().is_none_or(|inputs| inputs.contains_key(name))
    }

    pub fn is_list(&self, name: &str) -> bool {
        self.inputs.as_ref().is_some_and(|inputs| inputs.get(name) == Some(&true))
    }

    /// Those of some names that the model has, in their order.
    pub fn known<'n>(&self, names: &'n [&'n str]) -> impl Iterator<Item = &'n &'n str> {
        let likeliest = if self.inputs.is_none() { &names[..names.len().min(1)] } else { names };
        likeliest.iter().filter(|name| self.has(name))
    }

    /// The first of some names that the model has.
    pub fn first<'n>(&self, names: &'n [&'n str]) -> Option<&'n str> {
        self.known(names).next().copied()
    }
}

/// The inputs for predictions.
pub fn of_model(api: &Api<'_>, id: &ModelId<'_>) -> Result<Found, Failure> {
    remembered(api, id, "Input")
}

/// The inputs for trainings.
pub fn of_training(api: &Api<'_>, id: &ModelId<'_>) -> Result<Found, Failure> {
    remembered(api, id, "TrainingInput")
}

fn remembered(api: &Api<'_>, id: &ModelId<'_>, schema: &str) -> Result<Found, Failure> {
    let path = match id.version {
        Some(version) => [&id.path(), "/versions/", version].concat(),
        None => id.path(),
    };
    let key = ["inputs:", schema, ":", &path].concat();
    let kept = cache::get(&key).and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(found) = kept {
        return Ok(found);
    }
    let found = match api.send(api.get(&path)) {
        Ok(response) => read(&response.bytes(DOCUMENT_BYTES_MAX)?, schema)?,
        // A version that is hidden from this account may still be callable: the call itself will tell.
        Err(failure) if failure.code == code::NOT_FOUND && id.version.is_some() => {
            return Ok(Found::unknown());
        }
        Err(failure) => return Err(failure),
    };
    if let Ok(bytes) = serde_json::to_vec(&found) {
        cache::set(&key, &bytes, KEPT_MS);
    }
    Ok(found)
}

fn read(body: &[u8], schema: &str) -> Result<Found, Failure> {
    let document: Document = json::parse(body)?;
    let (latest, schema_of_latest) = match document.latest_version {
        Some(version) => (version.id, version.openapi_schema),
        None => (None, None),
    };
    let openapi = document.openapi_schema.or(schema_of_latest);
    let properties = openapi.as_ref().and_then(|openapi| {
        openapi.pointer(&["/components/schemas/", schema, "/properties"].concat())?.as_object()
    });
    let is_list = |property: &Value| property["type"] == "array";
    Ok(Found {
        inputs: properties.map(|properties| {
            properties.iter().map(|(name, property)| (name.clone(), is_list(property))).collect()
        }),
        version: latest.filter(|_| document.is_official == Some(false)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_names_the_inputs_and_which_are_lists() {
        let schema = r#"{"components":{"schemas":{"Input":{"properties":{"prompt":{"type":"string"},"images":{"type":"array"}}}}}}"#;
        let model =
            format!(r#"{{"is_official":false,"latest_version":{{"id":"5c7d","openapi_schema":{schema}}}}}"#);
        let found = read(model.as_bytes(), "Input").unwrap();
        assert_eq!(found.version.as_deref(), Some("5c7d"));
        assert!(found.has("prompt") && !found.has("seed"));
        assert!(found.is_list("images") && !found.is_list("prompt"));
        assert_eq!(found.first(&["image", "images"]), Some("images"));
        let version = format!(r#"{{"id":"5c7d","openapi_schema":{schema}}}"#);
        assert_eq!(read(version.as_bytes(), "Input").unwrap().version, None);
        assert_eq!(read(version.as_bytes(), "TrainingInput").unwrap(), Found::unknown());
    }

    #[test]
    fn a_model_without_a_schema_is_taken_to_have_the_likeliest_names() {
        let found = read(br#"{"is_official":true,"latest_version":null}"#, "Input").unwrap();
        assert_eq!(found, Found::unknown());
        assert_eq!(found.known(&["image", "input_image"]).collect::<Vec<_>>(), [&"image"]);
    }
}
