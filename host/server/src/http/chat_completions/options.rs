//! Members of a request that the provider contract has no shape for: they become the model's options.

use atelier_domain::generation::{Json, empty_object};
use atelier_service::generation::options::OptionsSchema;
use serde_json::value::RawValue;

use crate::http::ApiError;

/// Options gathered from a request body.
#[derive(Debug, Default)]
pub(in crate::http) struct Options {
    /// The member `options`: an object, passed on as it is.
    own: Option<Json>,
    /// Members that change the answer: a model that does not take them refuses the request.
    wanted: Vec<(&'static str, Json)>,
    /// Members that change only what is billed, stored or grouped: left out where a model does not take them.
    hints: Vec<(&'static str, Json)>,
}

impl Options {
    pub(in crate::http) fn of(own: Option<Json>) -> Self {
        Self { own, ..Self::default() }
    }
    pub(in crate::http) fn own(&mut self, own: Json) {
        self.own = Some(own);
    }
    pub(in crate::http) fn want(&mut self, name: &'static str, value: Option<&RawValue>) {
        self.wanted.extend(value.map(|value| (name, value.to_owned())));
    }
    pub(in crate::http) fn hint(&mut self, name: &'static str, value: Option<&RawValue>) {
        self.hints.extend(value.map(|value| (name, value.to_owned())));
    }

    /// The options of a call of a model with this schema.
    pub(in crate::http) fn merge(self, schema: &OptionsSchema) -> Result<Json, ApiError> {
        let taken = self.hints.into_iter().filter(|(name, _)| schema.names(name));
        let members: Vec<_> = self.wanted.into_iter().chain(taken).collect();
        match (self.own, members.is_empty()) {
            (None, true) => Ok(empty_object()),
            (Some(own), true) => Ok(own),
            (own, false) => {
                let mut all: serde_json::Map<String, serde_json::Value> = match own {
                    Some(own) => serde_json::from_str(own.get())
                        .map_err(|_| ApiError::invalid("options", "must be an object"))?,
                    None => serde_json::Map::new(),
                };
                for (name, value) in members {
                    let value = serde_json::from_str(value.get())
                        .map_err(|error| ApiError::invalid(name, error.to_string()))?;
                    all.insert(name.to_owned(), value);
                }
                serde_json::value::to_raw_value(&all).map_err(|error| ApiError::bug(error.to_string()))
            }
        }
    }
}
