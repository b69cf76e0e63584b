//! Which models there are: a documented list, and what `GET /models` says.

use crate::Anthropic;
use crate::api::Api;
use atelier_plugin_sdk::catalog::{Description, Model, ModelPage, VoicePage};
use atelier_plugin_sdk::http::escape;
use atelier_plugin_sdk::{CallContext, Catalog, Failure};

pub mod known;
mod listed;

/// The largest page of models read, in bytes.
const PAGE_BYTES_MAX: u32 = 4 * 1024 * 1024;

impl Catalog for Anthropic {
    fn describe() -> Result<Description, Failure> {
        Ok(Description { models: known::models(), discovers: true, open_ended: false })
    }

    fn discover(context: CallContext, cursor: Option<String>) -> Result<ModelPage, Failure> {
        let api = Api::new(&context)?;
        listed::page(&api.send(api.get(&page_path(cursor.as_deref())))?.bytes(PAGE_BYTES_MAX)?)
    }

    fn get_model(context: CallContext, id: String) -> Result<Model, Failure> {
        let api = Api::new(&context)?;
        listed::model(&api.send(api.get(&model_path(&id)?))?.bytes(PAGE_BYTES_MAX)?)
    }

    fn voices(_context: CallContext, _model: String, _cursor: Option<String>) -> Result<VoicePage, Failure> {
        Err(Failure::unsupported("this provider has no voices"))
    }

    fn check(context: CallContext) -> Result<(), Failure> {
        let api = Api::new(&context)?;
        api.send(api.get("/models?limit=1"))?;
        Ok(())
    }
}

fn page_path(after: Option<&str>) -> String {
    match after {
        Some(after) => ["/models?limit=100&after_id=", &escape(after)].concat(),
        None => "/models?limit=100".to_owned(),
    }
}

fn model_path(id: &str) -> Result<String, Failure> {
    if matches!(id, "" | "." | "..") {
        return Err(Failure::invalid("model", "this is no model id"));
    }
    Ok(["/models/", &escape(id)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_cursors_cannot_lead_to_another_address() {
        assert_eq!(model_path("../files?x").unwrap(), "/models/..%2Ffiles%3Fx");
        assert_eq!(model_path("..").unwrap_err().code, "invalid-request");
        assert_eq!(page_path(Some("a&limit=1")), "/models?limit=100&after_id=a%26limit%3D1");
    }
}
