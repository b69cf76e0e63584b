//! Whatever a model makes, as a job: one prediction (<https://replicate.com/docs/reference/http#predictions.create>).

use crate::Replicate;
use crate::api::Api;
use crate::catalog::inputs::{self, Found};
use crate::id::ModelId;
use crate::prediction::{self, Kind};
use atelier_plugin_sdk::job::{Cancellation, Estimate, Step, Wake};
use atelier_plugin_sdk::media::Request;
use atelier_plugin_sdk::{CallContext, Failure, MediaJobs, json};

mod fields;
pub mod file;

impl MediaJobs for Replicate {
    /// How long a model computes, nobody knows before: the host's own limits apply.
    fn estimate_usage(_context: CallContext, _request: Request) -> Result<Estimate, Failure> {
        Ok(Vec::new())
    }

    fn submit(context: CallContext, request: Request) -> Result<Step, Failure> {
        let api = Api::new(&context)?;
        let id = ModelId::parse(&request.model)?;
        let found = inputs::of_model(&api, &id)?;
        // What cannot work is refused before anything is uploaded.
        body(&api, &id, &found, &request, &[])?;
        let uploads = file::upload_large(&api, request.inputs.iter().map(|input| &input.media))?;
        let (path, body) = body(&api, &id, &found, &request, &uploads)?;
        prediction::begin(&api, Kind::Prediction, &path, body)
    }

    fn resume(context: CallContext, state: Vec<u8>, wake: Wake) -> Result<Step, Failure> {
        prediction::resume(&Api::new(&context)?, Kind::Prediction, &state, wake)
    }

    fn cancel(context: CallContext, state: Vec<u8>) -> Result<Cancellation, Failure> {
        prediction::cancel(&Api::new(&context)?, Kind::Prediction, &state)
    }
}

/// Where a prediction is created, and its body. `uploads` has an address for each input that was uploaded.
fn body<'r>(
    api: &Api<'_>,
    id: &ModelId<'_>,
    found: &Found,
    request: &'r Request,
    uploads: &[Option<String>],
) -> Result<(String, json::Text<'r>), Failure> {
    let mut body = json::Text::new();
    body.begin_object();
    let path = match id.version.or(found.version.as_deref()) {
        Some(version) => {
            body.field("version", version);
            "/predictions".to_owned()
        }
        None => [&id.path(), "/predictions"].concat(),
    };
    body.key("input").begin_object();
    let mut written = Vec::new();
    fields::write(&mut body, found, request, &mut written)?;
    fields::write_media(&mut body, found, request, uploads, &mut written)?;
    let reserved: Vec<&str> = written.iter().map(String::as_str).collect();
    body.merge(&request.options, &reserved)?.end_object();
    prediction::write_webhook(&mut body, api);
    body.end_object();
    Ok((path, body))
}

#[cfg(test)]
mod tests;
