//! `POST /v1/fine_tuning/jobs`.

use std::collections::BTreeMap;

use atelier_domain::file::{Purpose, StoredFile};
use atelier_domain::generation::{Json, empty_object};
use atelier_service::caller::Caller;
use atelier_service::jobs::NewTraining;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::view::{TrainingView, sample, view};
use crate::app::App;
use crate::http::files::{file_id, optional_file_id};
use crate::http::openapi::{Operation, Tag, optional_object};
use crate::http::{ApiError, Call, Reply, answer, body, metadata, prefix};

const SUFFIX_CHARACTERS_MAX: usize = 64;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewFineTuningJob)]
struct Body {
    /// The base model: `instance/model`, or an alias of the operator's.
    model: String,
    /// A file with the purpose `fine-tune`; `user_data` for providers that take other forms than JSON Lines.
    #[schema(schema_with = file_id)]
    training_file: String,
    #[schema(schema_with = optional_file_id)]
    validation_file: Option<String>,
    /// What the new model's name ends with.
    #[schema(min_length = 1, max_length = 64)]
    suffix: Option<String>,
    seed: Option<i64>,
    /// Those of `method.supervised`, by their older name.
    #[schema(schema_with = optional_object)]
    hyperparameters: Option<Map<String, Value>>,
    /// `type` is `supervised` if it is not sent; of another type it is handed to the provider as it is.
    #[schema(schema_with = optional_object)]
    method: Option<Map<String, Value>>,
    /// None is known here: it must be empty.
    #[schema(max_items = 0, value_type = Option<Vec<Object>>)]
    integrations: Option<Vec<Value>>,
    /// At most 16 texts of up to 512 characters, with names of up to 64.
    metadata: Option<BTreeMap<String, String>>,
    /// By the provider's own rules, e.g. `destination` for Replicate.
    #[schema(schema_with = optional_object)]
    options: Option<Map<String, Value>>,
}

/// Begins a training.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let body: Body = body::parse(&bytes)?;
    check(&body)?;
    let (app, caller) = (&call.app, call.caller()?);
    // A repetition is answered by its job, whatever became of the files since.
    if let Some(job) = app.jobs.admitted_before(caller).await? {
        return answer::json(&view(&job)?);
    }
    let training_file = data(app, caller, "training_file", &body.training_file).await?;
    let validation_file = match &body.validation_file {
        Some(id) => Some(data(app, caller, "validation_file", id).await?),
        None => None,
    };
    let (hyperparameters, options) = settings(body.hyperparameters, body.method, body.options)?;
    let new = NewTraining {
        model: body.model,
        training_file,
        validation_file,
        suffix: body.suffix,
        seed: body.seed,
        hyperparameters,
        options,
        metadata: body.metadata.unwrap_or_default().into_iter().collect(),
    };
    let job = app.jobs.admit_training(caller, new).await?;
    answer::json(&view(&job)?)
}

fn check(body: &Body) -> Result<(), ApiError> {
    if let Some(suffix) = &body.suffix
        && (suffix.is_empty()
            || suffix.chars().count() > SUFFIX_CHARACTERS_MAX
            || suffix.chars().any(char::is_control))
    {
        let message =
            format!("must have 1 to {SUFFIX_CHARACTERS_MAX} characters, none of them control characters");
        return Err(ApiError::invalid("suffix", message));
    }
    if body.integrations.as_ref().is_some_and(|integrations| !integrations.is_empty()) {
        return Err(ApiError::invalid("integrations", "no integration is known here"));
    }
    metadata::check(body.metadata.as_ref())
}

/// A file of the caller's that can be trained with.
async fn data(app: &App, caller: &Caller, param: &str, id: &str) -> Result<StoredFile, ApiError> {
    let id = prefix::read(prefix::FILE, id, "such file")?;
    let file = app.files.get(caller, id).await?;
    match file.purpose {
        Purpose::FineTune | Purpose::UserData => Ok(file),
        other => {
            let message = format!("the file's purpose is {other}; it must be fine-tune or user_data");
            Err(ApiError::invalid(param, message))
        }
    }
}

/// The hyperparameters, from wherever they were sent, and what else the provider is to know.
fn settings(
    older: Option<Map<String, Value>>,
    method: Option<Map<String, Value>>,
    options: Option<Map<String, Value>>,
) -> Result<(Json, Json), ApiError> {
    let mut options = options.unwrap_or_default();
    if options.contains_key("method") {
        return Err(ApiError::invalid("options.method", "send it as `method`"));
    }
    let mut found = older;
    if let Some(mut method) = method {
        let kind = method.get("type").and_then(Value::as_str).unwrap_or("supervised");
        if kind == "supervised" {
            let own = method
                .remove("supervised")
                .and_then(|mut own| own.get_mut("hyperparameters").map(Value::take));
            match own {
                None | Some(Value::Null) => {}
                Some(Value::Object(own)) => found = Some(own),
                Some(_) => {
                    return Err(ApiError::invalid("method.supervised.hyperparameters", "must be an object"));
                }
            }
        } else {
            if found.as_ref().is_some_and(|found| !found.is_empty()) {
                let message = "belong into `method` where its type is not \"supervised\"";
                return Err(ApiError::invalid("hyperparameters", message));
            }
            options.insert("method".to_owned(), Value::Object(method));
        }
    }
    let hyperparameters = found.filter(|found| !found.is_empty());
    Ok((hyperparameters.map_or_else(|| Ok(empty_object()), |found| raw(&found))?, raw(&options)?))
}

fn raw(members: &Map<String, Value>) -> Result<Box<RawValue>, ApiError> {
    to_raw_value(members).map_err(|error| ApiError::bug(error.to_string()))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let request = json!({"model": "openai/gpt-4.1-mini-2025-04-14", "training_file": "file-019ab0c3e5f07d0aa1b2c3d4e5f60718",
        "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}}});
    Operation::new("createFineTuningJob", Tag::FineTuning, "Start a fine-tuning job")
        .about("Trains a model with a file. The job goes on in the background for up to 24 hours; its result is a model of the same instance.")
        .takes::<Body>(request)
        .answers::<TrainingView<'_>>(200, "The job, just begun.", sample("queued"))
        .calls_provider()
        .refuses(&[507])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Option<Map<String, Value>> {
        value.as_object().cloned()
    }

    #[test]
    fn hyperparameters_are_found_wherever_they_are_sent() {
        let told = |older, method, options| {
            let (hyperparameters, options) =
                settings(object(older), object(method), object(options)).expect("good");
            (hyperparameters.get().to_owned(), options.get().to_owned())
        };
        let none = Value::Null;
        let wanted = |hyperparameters: &str, options: &str| (hyperparameters.to_owned(), options.to_owned());
        assert_eq!(told(none.clone(), none.clone(), none.clone()), wanted("{}", "{}"));
        assert_eq!(
            told(json!({"n_epochs": 2}), none.clone(), json!({"a": 1})),
            wanted("{\"n_epochs\":2}", "{\"a\":1}")
        );
        let supervised = json!({"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}});
        assert_eq!(told(json!({"n_epochs": 2}), supervised, none.clone()), wanted("{\"n_epochs\":3}", "{}"));
        let dpo = json!({"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.1}}});
        let (hyperparameters, options) = told(none.clone(), dpo.clone(), none.clone());
        assert_eq!(
            (hyperparameters.as_str(), serde_json::from_str::<Value>(&options).expect("JSON")),
            ("{}", json!({"method": dpo}))
        );
        assert!(settings(object(json!({"n_epochs": 2})), object(dpo), None).is_err());
        assert!(settings(None, None, object(json!({"method": {}}))).is_err());
    }
}
