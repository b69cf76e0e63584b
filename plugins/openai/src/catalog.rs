//! Which models there are: a documented list, and what `GET /models` says.

use crate::OpenAi;
use crate::api::Api;
use atelier_plugin_sdk::catalog::{Description, Model, ModelPage, Voice, VoicePage};
use atelier_plugin_sdk::http::escape;
use atelier_plugin_sdk::{CallContext, Catalog, Failure};

mod known;
mod listed;

/// The largest list of models read, in bytes.
const LIST_BYTES_MAX: u32 = 8 * 1024 * 1024;

impl Catalog for OpenAi {
    fn describe() -> Result<Description, Failure> {
        Ok(Description { models: known::models(), discovers: true, open_ended: false })
    }

    /// One page: the provider's list has no others.
    fn discover(context: CallContext, _cursor: Option<String>) -> Result<ModelPage, Failure> {
        let api = Api::new(&context)?;
        let body = api.send(api.get("/models"))?.bytes(LIST_BYTES_MAX)?;
        Ok(ModelPage { models: listed::models(&body, api.official)?, next: None })
    }

    fn get_model(context: CallContext, id: String) -> Result<Model, Failure> {
        let api = Api::new(&context)?;
        let body = api.send(api.get(&model_path(&id)?))?.bytes(LIST_BYTES_MAX)?;
        listed::model(&body, api.official)
    }

    fn voices(context: CallContext, model: String, _cursor: Option<String>) -> Result<VoicePage, Failure> {
        let voices: &[&str] = if Api::new(&context)?.official { known::voices(&model) } else { &[] };
        Ok(VoicePage { voices: voices.iter().map(|name| voice(name)).collect(), next: None })
    }

    fn check(context: CallContext) -> Result<(), Failure> {
        let api = Api::new(&context)?;
        api.send(api.get("/models"))?;
        Ok(())
    }
}

/// The path of one model. Compatible servers have ids with slashes, which stay.
fn model_path(id: &str) -> Result<String, Failure> {
    let mut path = String::from("/models");
    for segment in id.split('/') {
        if matches!(segment, "" | "." | "..") {
            return Err(Failure::invalid("model", "this is no model id"));
        }
        path.push('/');
        path.push_str(&escape(segment));
    }
    Ok(path)
}

fn voice(name: &str) -> Voice {
    Voice {
        id: name.to_owned(),
        name: name.to_owned(),
        languages: Vec::new(),
        preview_url: None,
        labels: Vec::new(),
        owner: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_id_cannot_lead_to_another_address() {
        assert_eq!(model_path("ft:gpt-4o:acme::x").unwrap(), "/models/ft%3Agpt-4o%3Aacme%3A%3Ax");
        assert_eq!(model_path("org/model").unwrap(), "/models/org/model");
        for id in ["../files", "a/../../b", "", "/", "."] {
            assert_eq!(model_path(id).unwrap_err().code, "invalid-request", "{id}");
        }
        assert_eq!(model_path("m?x=1#y").unwrap(), "/models/m%3Fx%3D1%23y");
    }
}
