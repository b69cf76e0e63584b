//! Fine-tuning (`/files`, `/fine_tuning/jobs`).

use crate::OpenAi;
use crate::api::Api;
use crate::fault;
use atelier_plugin_sdk::http::{Multipart, escape};
use atelier_plugin_sdk::job::{Cancellation, Estimate, Outcome, Output, Step, Ticket, Wake};
use atelier_plugin_sdk::training::{Dataset, Request};
use atelier_plugin_sdk::{CallContext, Failure, MediaSource, Training, failure::code, json, log, usage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

const RESERVED: &[&str] = &["model", "training_file", "validation_file", "suffix", "seed"];
const ANSWER_BYTES_MAX: u32 = 1024 * 1024;
const STATE_VERSION: u32 = 1;
const POLL_MS: u64 = 30_000;
/// When the provider calls back, polling is the safety net.
const POLL_MS_WITH_CALLBACK: u64 = 600_000;
/// A meter of this provider's.
const TRAINING_TOKENS: &str = "training-tokens";

#[derive(Deserialize)]
struct File {
    id: String,
}

#[derive(Deserialize)]
struct Job<'a> {
    id: String,
    status: String,
    fine_tuned_model: Option<String>,
    trained_tokens: Option<u64>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// What a ticket keeps: the job, and the files uploaded for it.
#[derive(Serialize, Deserialize)]
struct State {
    job: String,
    files: Vec<String>,
}

impl Training for OpenAi {
    /// How many tokens a data set has, only the provider knows: the host's own limits apply.
    fn estimate_usage(_context: CallContext, _request: Request) -> Result<Estimate, Failure> {
        Ok(Vec::new())
    }

    fn submit(context: CallContext, request: Request) -> Result<Step, Failure> {
        let api = Api::new(&context)?;
        check(&request)?;
        let mut files = Vec::with_capacity(2);
        match begin(&api, &request, &mut files) {
            Ok(body) => step(&api, &body, files),
            Err(failure) => {
                remove(&api, &files);
                Err(failure)
            }
        }
    }

    fn resume(context: CallContext, state: Vec<u8>, _wake: Wake) -> Result<Step, Failure> {
        let api = Api::new(&context)?;
        let state = decoded(&state)?;
        let body = api.send(api.get(&path(&state.job)))?.bytes(ANSWER_BYTES_MAX)?;
        step(&api, &body, state.files)
    }

    fn cancel(context: CallContext, state: Vec<u8>) -> Result<Cancellation, Failure> {
        let api = Api::new(&context)?;
        let state = decoded(&state)?;
        let request = api.post(&[&path(&state.job), "/cancel"].concat()).idempotent();
        let (body, accepted) = match api.send(request) {
            Ok(response) => (response.bytes(ANSWER_BYTES_MAX)?, true),
            // It may have ended by itself.
            Err(failure) if failure.code == code::INVALID_REQUEST => {
                (api.send(api.get(&path(&state.job)))?.bytes(ANSWER_BYTES_MAX)?, false)
            }
            Err(failure) => return Err(failure),
        };
        let job: Job<'_> = json::parse(&body)?;
        match job.status.as_str() {
            "succeeded" => match step(&api, &body, state.files)? {
                Step::Done(outcome) => Ok(Cancellation::Finished(outcome)),
                Step::Pending(_) => Ok(Cancellation::Unsupported),
            },
            status if accepted || matches!(status, "failed" | "cancelled") => {
                remove(&api, &state.files);
                Ok(Cancellation::Canceled(used(&job)))
            }
            _ => Ok(Cancellation::Unsupported),
        }
    }
}

/// Refuse what cannot work before anything is uploaded.
fn check(request: &Request) -> Result<(), Failure> {
    let count = |role: &str| request.datasets.iter().filter(|dataset| dataset.role == role).count();
    let (training, validation) = (count("training"), count("validation"));
    if training != 1 || validation > 1 || request.datasets.len() > training + validation {
        let message = "this provider takes one data set for training, and at most one for validation";
        return Err(Failure::invalid("datasets", message));
    }
    if request.datasets.iter().any(|dataset| matches!(dataset.media.source, MediaSource::Url(_))) {
        let message = "this provider takes uploaded data sets only: upload it instead of giving its URL";
        return Err(Failure::unsupported(message).with_param("datasets"));
    }
    Ok(())
}

/// Upload the data and begin the job; `files` has what was uploaded even if it fails.
fn begin(api: &Api<'_>, request: &Request, files: &mut Vec<String>) -> Result<Vec<u8>, Failure> {
    let mut ids = Vec::with_capacity(2);
    for dataset in &request.datasets {
        let id = upload(api, dataset)?;
        files.push(id.clone());
        ids.push((dataset.role.as_str(), id));
    }
    let body = job(request, &ids)?;
    api.send(api.post("/fine_tuning/jobs").json_text(body)?.charging())?.bytes(ANSWER_BYTES_MAX)
}

fn upload(api: &Api<'_>, dataset: &Dataset) -> Result<String, Failure> {
    let MediaSource::Blob(blob) = &dataset.media.source else {
        return Err(
            Failure::unsupported("this provider takes uploaded data sets only").with_param("datasets")
        );
    };
    let mut form = Multipart::new();
    form.text("purpose", "fine-tune");
    form.blob("file", dataset.media.name.as_deref().unwrap_or("data.jsonl"), blob);
    // Twice leaves a second file, and costs nothing.
    let body = api.send(api.post("/files").multipart(form).idempotent())?.bytes(ANSWER_BYTES_MAX)?;
    Ok(json::parse::<File>(&body)?.id)
}

fn job<'r>(request: &'r Request, files: &[(&str, String)]) -> Result<json::Text<'r>, Failure> {
    let mut body = json::Text::new();
    body.begin_object().field("model", &request.model);
    for (role, id) in files {
        body.field(if *role == "training" { "training_file" } else { "validation_file" }, id);
    }
    body.optional("suffix", request.suffix.as_ref()).optional("seed", request.seed.as_ref());
    let has_parameters = request.hyperparameters != "{}";
    if has_parameters {
        body.key("method").begin_object().field("type", "supervised").key("supervised").begin_object();
        body.key("hyperparameters").raw(&request.hyperparameters).end_object().end_object();
    }
    let reserved = if has_parameters { &[RESERVED, &["method"]].concat()[..] } else { RESERVED };
    body.merge(&request.options, reserved)?.end_object();
    Ok(body)
}

/// What a job object means. At the end the uploaded files have served.
fn step(api: &Api<'_>, body: &[u8], files: Vec<String>) -> Result<Step, Failure> {
    let job: Job<'_> = json::parse(body)?;
    let ended = match job.status.as_str() {
        "succeeded" => match &job.fine_tuned_model {
            Some(model) => {
                Ok(Step::Done(Outcome { outputs: vec![Output::Model(model.clone())], usage: used(&job) }))
            }
            None => Err(Failure::bad_response("the provider's finished job names no model")),
        },
        "failed" => Err(match job.error {
            Some(error) => fault::reported(error.get()).ends_job(),
            None => Failure::new(code::INTERNAL, "the provider could not train the model"),
        }),
        "cancelled" => Err(Failure::new(code::CANCELED, "the training was canceled")),
        "validating_files" | "queued" | "running" | "paused" => {
            return Ok(Step::Pending(ticket(api, job.id, files)?));
        }
        status => {
            return Err(Failure::bad_response(
                ["the provider's job has the unknown status ", status].concat(),
            ));
        }
    };
    remove(api, &files);
    ended
}

fn ticket(api: &Api<'_>, job: String, files: Vec<String>) -> Result<Ticket, Failure> {
    let state = State { job, files };
    Ok(Ticket {
        state: serde_json::to_vec(&state)
            .map_err(|_| Failure::new(code::INTERNAL, "the job's state has no JSON form"))?,
        state_version: STATE_VERSION,
        poll_after_ms: if api.calls_back() { POLL_MS_WITH_CALLBACK } else { POLL_MS },
        progress: None,
        accepts_webhook: api.calls_back(),
        provider_id: Some(state.job),
    })
}

fn used(job: &Job<'_>) -> Vec<atelier_plugin_sdk::UsageLine> {
    job.trained_tokens.map(|tokens| usage::line(TRAINING_TOKENS, tokens, &[])).into_iter().collect()
}

/// Delete uploaded files. A job's result does not depend on it, so what stays is told to the operator.
fn remove(api: &Api<'_>, files: &[String]) {
    for id in files {
        if let Err(failure) = api.send(api.delete(&["/files/", &escape(id)].concat())) {
            log::write(
                log::Level::Warn,
                &["file ", id, " stays at the provider: ", &failure.message].concat(),
            );
        }
    }
}

fn path(job: &str) -> String {
    ["/fine_tuning/jobs/", &escape(job)].concat()
}

fn decoded(state: &[u8]) -> Result<State, Failure> {
    json::parse(state).map_err(|_| Failure::new(code::INTERNAL, "the job's state is not this plugin's"))
}

#[cfg(test)]
mod tests;
