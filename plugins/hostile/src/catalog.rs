//! The models, and an attempt to leave the host while it only asks what they are.

use atelier_plugin_sdk::catalog::{Description, Limits, Model, ModelPage, Status, VoicePage};
use atelier_plugin_sdk::http::Request;
use atelier_plugin_sdk::{CallContext, Catalog, Failure};

use crate::{Hostile, steady};

impl Catalog for Hostile {
    /// Tries to reach an upstream, which a description may not, and describes how that went.
    fn describe() -> Result<Description, Failure> {
        let outcome = match Request::get("https://example.com/").send() {
            Ok(response) => format!("it got through: {}", response.status),
            Err(failure) => format!("{}: {}", failure.code, failure.message),
        };
        Ok(Description { models: vec![model("good", outcome)], discovers: false, open_ended: true })
    }

    fn discover(_: CallContext, _: Option<String>) -> Result<ModelPage, Failure> {
        Err(Failure::unsupported("it lists nothing"))
    }

    fn get_model(_: CallContext, id: String) -> Result<Model, Failure> {
        Ok(model(&id, String::new()))
    }

    fn voices(_: CallContext, _: String, _: Option<String>) -> Result<VoicePage, Failure> {
        Err(Failure::unsupported("it has no voices"))
    }

    /// Nothing at all: the cheapest call that there is.
    fn check(_: CallContext) -> Result<(), Failure> {
        Ok(())
    }
}

fn model(id: &str, description: String) -> Model {
    Model {
        id: id.to_owned(),
        name: id.to_owned(),
        description: Some(description),
        status: Status::Available,
        tasks: vec![if id == steady::MODEL { steady::TASK } else { "chat" }.to_owned()],
        input_modalities: Vec::new(),
        features: Vec::new(),
        limits: Limits {
            context_tokens: None,
            output_tokens: None,
            input_characters: None,
            batch: None,
            media_bytes: None,
        },
        options_schema: None,
        prices: Vec::new(),
        owner: None,
        created: 0,
    }
}
