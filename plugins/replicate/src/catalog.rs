//! Which models there are: the pages of a list, or any model by its id.

use crate::Replicate;
use crate::api::Api;
use crate::id::ModelId;
use atelier_plugin_sdk::catalog::{Description, Model, ModelPage, VoicePage};
use atelier_plugin_sdk::http::escape;
use atelier_plugin_sdk::{CallContext, Catalog, Failure};

pub mod inputs;
mod listed;

/// The largest page read, in bytes: each model carries its schema.
const PAGE_BYTES_MAX: u32 = 24 * 1024 * 1024;
/// The hub has tens of thousands of models: more pages than these are left to `get-model`.
const PAGES_MAX: u32 = 4;

impl Catalog for Replicate {
    fn describe() -> Result<Description, Failure> {
        Ok(Description { models: Vec::new(), discovers: true, open_ended: true })
    }

    fn discover(context: CallContext, cursor: Option<String>) -> Result<ModelPage, Failure> {
        let api = Api::new(&context)?;
        if let Some(slug) = &api.settings.collection {
            let path = ["/collections/", &escape(slug)].concat();
            return listed::collection(&api.send(api.get(&path))?.bytes(PAGE_BYTES_MAX)?);
        }
        let (number, path) = match &cursor {
            None => (1, "/models".to_owned()),
            Some(cursor) => place(cursor)?,
        };
        let (models, next) = listed::page(&api.send(api.get(&path))?.bytes(PAGE_BYTES_MAX)?)?;
        let next = next.filter(|_| number < PAGES_MAX);
        Ok(ModelPage { models, next: next.map(|next| [&(number + 1).to_string(), ":", &next].concat()) })
    }

    fn get_model(context: CallContext, id: String) -> Result<Model, Failure> {
        let api = Api::new(&context)?;
        let parsed = ModelId::parse(&id)?;
        let body = api.send(api.get(&parsed.path()))?.bytes(PAGE_BYTES_MAX)?;
        let Some(version) = parsed.version else { return listed::model(&body, &id, None) };
        let path = [&parsed.path(), "/versions/", version].concat();
        let version = api.send(api.get(&path))?.bytes(PAGE_BYTES_MAX)?;
        listed::model(&body, &id, Some(&version))
    }

    fn voices(_context: CallContext, _model: String, _cursor: Option<String>) -> Result<VoicePage, Failure> {
        Err(Failure::unsupported("this provider has no voices"))
    }

    fn check(context: CallContext) -> Result<(), Failure> {
        let api = Api::new(&context)?;
        api.send(api.get("/predictions"))?;
        Ok(())
    }
}

/// A cursor's page number and address: `2:CURSOR`.
fn place(cursor: &str) -> Result<(u32, String), Failure> {
    let (number, cursor) = cursor.split_once(':').unwrap_or_default();
    match number.parse() {
        Ok(number) => Ok((number, ["/models?cursor=", &escape(cursor)].concat())),
        Err(_) => Err(Failure::invalid("cursor", "this is no cursor of this provider's")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_a_page_number_and_the_provider_s_own() {
        assert_eq!(place("2:a=b&c").unwrap(), (2, "/models?cursor=a%3Db%26c".to_owned()));
        assert_eq!(place("x").unwrap_err().code, "invalid-request");
    }
}
