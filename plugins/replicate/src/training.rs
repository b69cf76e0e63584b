//! Trainings (<https://replicate.com/docs/reference/http#trainings.create>): a version of a trainer makes a version of a model.

use crate::Replicate;
use crate::api::Api;
use crate::catalog::inputs::{self, Found};
use crate::id::ModelId;
use crate::media::file;
use crate::prediction::{self, Kind};
use atelier_plugin_sdk::job::{Cancellation, Estimate, Step, Wake};
use atelier_plugin_sdk::training::Request;
use atelier_plugin_sdk::{CallContext, Failure, Training, json};

/// The names that trainers commonly give their data.
const DATA: &[&str] = &["input_images", "train_data", "training_data", "dataset", "data", "images"];

impl Training for Replicate {
    /// How long a trainer computes, nobody knows before: the host's own limits apply.
    fn estimate_usage(_context: CallContext, _request: Request) -> Result<Estimate, Failure> {
        Ok(Vec::new())
    }

    fn submit(context: CallContext, request: Request) -> Result<Step, Failure> {
        let api = Api::new(&context)?;
        let id = ModelId::parse(&request.model)?;
        let Some(version) = id.version else {
            let message = "a training needs the trainer's version: OWNER/NAME:VERSION";
            return Err(Failure::invalid("model", message));
        };
        check(&request)?;
        let found = inputs::of_training(&api, &id)?;
        body(&api, &found, &request, &[])?;
        let uploads = file::upload_large(&api, request.datasets.iter().map(|dataset| &dataset.media))?;
        let body = body(&api, &found, &request, &uploads)?;
        let path = [&id.path(), "/versions/", version, "/trainings"].concat();
        prediction::begin(&api, Kind::Training, &path, body)
    }

    fn resume(context: CallContext, state: Vec<u8>, wake: Wake) -> Result<Step, Failure> {
        prediction::resume(&Api::new(&context)?, Kind::Training, &state, wake)
    }

    fn cancel(context: CallContext, state: Vec<u8>) -> Result<Cancellation, Failure> {
        prediction::cancel(&Api::new(&context)?, Kind::Training, &state)
    }
}

/// Refuse what cannot work before anything is uploaded.
fn check(request: &Request) -> Result<(), Failure> {
    if request.suffix.is_some() {
        let message = "this provider writes to an existing model: name it in options.destination";
        return Err(Failure::unsupported(message).with_param("suffix"));
    }
    if request.datasets.len() > 1 || request.datasets.iter().any(|dataset| dataset.role != "training") {
        let message = "this provider takes one data set for training";
        return Err(Failure::invalid("datasets", message));
    }
    Ok(())
}

/// A training's body: hyperparameters, and options beside the destination, are the trainer's inputs.
fn body<'r>(
    api: &Api<'_>,
    found: &Found,
    request: &'r Request,
    uploads: &[Option<String>],
) -> Result<json::Text<'r>, Failure> {
    let mut body = json::Text::new();
    body.begin_object().field("destination", &destination(api, request)?);
    body.key("input").begin_object();
    let mut reserved = Vec::new();
    for (index, dataset) in request.datasets.iter().enumerate() {
        let name = found.first(DATA).ok_or_else(|| {
            let message = "this trainer's data has a name of its own: give its address in the options";
            Failure::unsupported(message).with_param("datasets")
        })?;
        body.key(name);
        file::write(&mut body, &dataset.media, uploads.get(index).and_then(Option::as_deref));
        reserved.push(name);
    }
    if let Some(seed) = request.seed {
        body.field("seed", &seed);
        reserved.push("seed");
    }
    body.merge(&request.hyperparameters, &reserved)?;
    let taken = json::members(&request.hyperparameters).unwrap_or_default();
    reserved.extend(taken.iter().map(|member| member.name.as_ref()));
    for member in members(&request.options)? {
        if member.name == "destination" {
            continue;
        }
        if reserved.contains(&member.name.as_ref()) {
            let path = ["options.", &member.name].concat();
            return Err(Failure::invalid(
                path,
                "the request gives this input already: leave it out of the options",
            ));
        }
        body.key(&member.name).raw(member.value);
    }
    body.end_object();
    prediction::write_webhook(&mut body, api);
    body.end_object();
    Ok(body)
}

/// The existing model that the new version belongs to.
fn destination(api: &Api<'_>, request: &Request) -> Result<String, Failure> {
    let wanted = members(&request.options)?.into_iter().find(|member| member.name == "destination");
    let wanted = match wanted {
        Some(member) => serde_json::from_str(member.value).ok(),
        None => api.settings.destination.clone(),
    };
    let is_model = |name: &String| ModelId::parse(name).is_ok_and(|id| id.version.is_none());
    wanted.filter(is_model).ok_or_else(|| {
        let message = "name the existing model to write to, OWNER/NAME";
        Failure::invalid("options.destination", message)
    })
}

fn members(options: &str) -> Result<Vec<json::Member<'_>>, Failure> {
    json::members(options).ok_or_else(|| Failure::invalid("options", "the options must be a JSON object"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::context;
    use atelier_plugin_sdk::training::Dataset;
    use atelier_plugin_sdk::{Media, MediaSource};
    use serde_json::{Value, json};

    fn request(options: &str) -> Request {
        let source = MediaSource::Url("https://x.example/data.zip".to_owned());
        let media = Media::new(source, None);
        Request {
            model: "ostris/trainer:5c7d".to_owned(),
            datasets: vec![Dataset { role: "training".to_owned(), media }],
            suffix: None,
            seed: Some(3),
            hyperparameters: r#"{"steps":1000}"#.to_owned(),
            options: options.to_owned(),
        }
    }

    fn sent(request: &Request, settings: &str) -> Result<Value, Failure> {
        let context = context(settings);
        let body = body(&Api::new(&context)?, &Found::unknown(), request, &[None])?;
        Ok(serde_json::from_str(&body.into_string().unwrap()).unwrap())
    }

    #[test]
    fn everything_asked_for_is_in_the_body() {
        let request = request(r#"{"destination":"me/mine","trigger_word":"TOK"}"#);
        let expected = json!({
            "destination": "me/mine",
            "input": {"input_images": "https://x.example/data.zip", "seed": 3, "steps": 1000, "trigger_word": "TOK"},
        });
        assert_eq!(sent(&request, r#"{"destination":"other/one"}"#).unwrap(), expected);
    }

    #[test]
    fn the_destination_is_the_request_s_or_the_operator_s() {
        let of_operator = sent(&request("{}"), r#"{"destination":"me/mine"}"#).unwrap();
        assert_eq!(of_operator["destination"], "me/mine");
        for options in
            ["{}", r#"{"destination":"mine"}"#, r#"{"destination":"a/b:c"}"#, r#"{"destination":7}"#]
        {
            let failure = sent(&request(options), "{}").unwrap_err();
            assert_eq!(failure.param.as_deref(), Some("options.destination"), "{options}");
        }
    }

    #[test]
    fn an_input_is_given_once() {
        let failure = sent(&request(r#"{"destination":"a/b","steps":5}"#), "{}").unwrap_err();
        assert_eq!(failure.param.as_deref(), Some("options.steps"));
    }

    #[test]
    fn what_the_provider_cannot_do_is_refused_before_anything_is_uploaded() {
        let mut two = request("{}");
        two.datasets.extend(request("{}").datasets);
        assert_eq!(check(&two).unwrap_err().param.as_deref(), Some("datasets"));
        let mut named = request("{}");
        named.suffix = Some("x".to_owned());
        assert_eq!(check(&named).unwrap_err().code, "unsupported");
        assert!(check(&request("{}")).is_ok());
    }
}
