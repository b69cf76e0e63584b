//! Which models and voices there are.

use crate::ElevenLabs;
use crate::api::Api;
use atelier_plugin_sdk::catalog::{Description, Model, ModelPage, VoicePage};
use atelier_plugin_sdk::http::escape;
use atelier_plugin_sdk::{CallContext, Catalog, Failure};

mod models;
mod voices;

/// The largest list read, in bytes.
const LIST_BYTES_MAX: u32 = 8 * 1024 * 1024;

impl Catalog for ElevenLabs {
    fn describe() -> Result<Description, Failure> {
        Ok(Description { models: models::known(), discovers: true, open_ended: false })
    }

    /// One page: the provider's list has no others.
    fn discover(context: CallContext, _cursor: Option<String>) -> Result<ModelPage, Failure> {
        Ok(ModelPage { models: listed(&context)?, next: None })
    }

    fn get_model(context: CallContext, id: String) -> Result<Model, Failure> {
        let found = listed(&context)?.into_iter().find(|model| model.id == id);
        found.ok_or_else(|| Failure::not_found(["there is no model ", &id].concat()))
    }

    fn voices(context: CallContext, _model: String, cursor: Option<String>) -> Result<VoicePage, Failure> {
        let api = Api::new(&context)?;
        voices::page(&api.send(api.get(&voices_path(cursor.as_deref())))?.bytes(LIST_BYTES_MAX)?)
    }

    fn check(context: CallContext) -> Result<(), Failure> {
        let api = Api::new(&context)?;
        api.send(api.get("/v1/models"))?;
        Ok(())
    }
}

fn listed(context: &CallContext) -> Result<Vec<Model>, Failure> {
    let api = Api::new(context)?;
    models::listed(&api.send(api.get("/v1/models"))?.bytes(LIST_BYTES_MAX)?)
}

fn voices_path(cursor: Option<&str>) -> String {
    match cursor {
        Some(cursor) => ["/v2/voices?page_size=100&next_page_token=", &escape(cursor)].concat(),
        None => "/v2/voices?page_size=100".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_cannot_lead_to_another_address() {
        assert_eq!(voices_path(Some("a&b")), "/v2/voices?page_size=100&next_page_token=a%26b");
        assert_eq!(voices_path(None), "/v2/voices?page_size=100");
    }
}
