//! Predictions and trainings: one document for both, and one life (<https://replicate.com/docs/topics/predictions/lifecycle>).

use crate::api::Api;
use crate::fault;
use atelier_plugin_sdk::job::{Cancellation, Outcome, Output, Step, Ticket, Wake};
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{Failure, Other, UsageLine, failure::code, json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

mod output;
mod progress;

/// The largest document read, in bytes; logs and texts are in it.
const DOCUMENT_BYTES_MAX: u32 = 16 * 1024 * 1024;
const STATE_VERSION: u32 = 1;
/// Polling begins at this pace, and slows down to the other.
const POLL_MS_MIN: u64 = 1_000;
const POLL_MS_MAX: u64 = 10_000;
/// When the provider calls back, polling is the safety net.
const POLL_MS_WITH_CALLBACK: u64 = 60_000;

/// Which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Prediction,
    Training,
}

/// The document.
#[derive(Deserialize)]
pub struct Prediction<'a> {
    pub id: String,
    pub status: String,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    logs: Option<String>,
    metrics: Option<Metrics>,
    data_removed: Option<bool>,
}

#[derive(Deserialize)]
struct Metrics {
    /// Seconds of computing.
    predict_time: Option<f64>,
    /// Seconds from creation to end; all that a training tells.
    total_time: Option<f64>,
    image_count: Option<u64>,
}

/// What a ticket keeps. Addresses follow from the id, so that a job goes on when an instance's base URL changes.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    id: String,
    /// Whether the provider was asked to call back.
    webhook: bool,
    /// How often it was looked at.
    polls: u32,
}

impl Kind {
    fn path(self, id: &str) -> String {
        let collection = match self {
            Self::Prediction => "/predictions/",
            Self::Training => "/trainings/",
        };
        [collection, &atelier_plugin_sdk::http::escape(id)].concat()
    }
}

/// Add where to call back, if this host can be reached.
pub fn write_webhook(body: &mut json::Text<'_>, api: &Api<'_>) {
    if let Some(url) = &api.context.callback_url {
        body.field("webhook", url).field("webhook_events_filter", &["completed"]);
    }
}

/// Send a request that creates one, and take the first step.
pub fn begin(api: &Api<'_>, kind: Kind, path: &str, body: json::Text<'_>) -> Result<Step, Failure> {
    let document = api.send(api.post(path).json_text(body)?.charging())?.bytes(DOCUMENT_BYTES_MAX)?;
    let prediction: Prediction<'_> = json::parse(&document)?;
    let id = prediction.id.clone();
    let state = State { id, webhook: api.context.callback_url.is_some(), polls: 0 };
    step(kind, prediction, state)
}

pub fn resume(api: &Api<'_>, kind: Kind, state: &[u8], wake: Wake) -> Result<Step, Failure> {
    let mut state = decoded(state)?;
    state.polls = state.polls.saturating_add(1);
    if let Wake::Webhook(event) = wake
        && let Some(prediction) = told(&event.json, &state)
    {
        return step(kind, prediction, state);
    }
    let document = look(api, kind, &state)?;
    step(kind, json::parse(&document)?, state)
}

/// The prediction that a callback brought, if it is this job's.
fn told<'a>(json: &'a str, state: &State) -> Option<Prediction<'a>> {
    let prediction: Prediction<'_> = serde_json::from_str(json).ok()?;
    (prediction.id == state.id).then_some(prediction)
}

pub fn cancel(api: &Api<'_>, kind: Kind, state: &[u8]) -> Result<Cancellation, Failure> {
    let state = decoded(state)?;
    let request = api.post(&[&kind.path(&state.id), "/cancel"].concat()).idempotent();
    let (document, accepted) = match api.send(request) {
        Ok(response) => (response.bytes(DOCUMENT_BYTES_MAX)?, true),
        // It may have ended by itself.
        Err(failure) if failure.code == code::INVALID_REQUEST => (look(api, kind, &state)?, false),
        Err(failure) => return Err(failure),
    };
    canceled(kind, json::parse(&document)?, accepted)
}

fn canceled(kind: Kind, prediction: Prediction<'_>, accepted: bool) -> Result<Cancellation, Failure> {
    match prediction.status.as_str() {
        "succeeded" => Ok(Cancellation::Finished(done(kind, &prediction)?)),
        status if accepted || matches!(status, "canceled" | "aborted" | "failed") => {
            Ok(Cancellation::Canceled(used(&prediction)))
        }
        _ => Ok(Cancellation::Unsupported),
    }
}

fn look(api: &Api<'_>, kind: Kind, state: &State) -> Result<Vec<u8>, Failure> {
    api.send(api.get(&kind.path(&state.id)))?.bytes(DOCUMENT_BYTES_MAX)
}

fn decoded(state: &[u8]) -> Result<State, Failure> {
    serde_json::from_slice(state)
        .map_err(|_| Failure::new(code::INTERNAL, "the job's state is not this plugin's"))
}

/// What a document means for the job.
fn step(kind: Kind, prediction: Prediction<'_>, state: State) -> Result<Step, Failure> {
    match prediction.status.as_str() {
        "starting" | "processing" | "queued" => Ok(Step::Pending(ticket(&prediction, state)?)),
        "succeeded" => Ok(Step::Done(done(kind, &prediction)?)),
        "failed" => Err(failed(&prediction).ends_job()),
        "canceled" => Err(Failure::new(code::CANCELED, "this was canceled at the provider")),
        "aborted" => {
            Err(Failure::new(code::INTERNAL, "the provider gave this up before it began: make it again"))
        }
        status => Err(Failure::bad_response(["the provider tells the unknown status ", status].concat())),
    }
}

fn failed(prediction: &Prediction<'_>) -> Failure {
    let Some(error) = prediction.error else { return fault::failed("") };
    let text = serde_json::from_str::<String>(error.get()).unwrap_or_else(|_| error.get().to_owned());
    fault::failed(&text).with_detail(["{\"error\":", error.get(), "}"].concat())
}

fn ticket(prediction: &Prediction<'_>, state: State) -> Result<Ticket, Failure> {
    let pace = POLL_MS_MIN.saturating_add(u64::from(state.polls).saturating_mul(500)).min(POLL_MS_MAX);
    Ok(Ticket {
        state: serde_json::to_vec(&state)
            .map_err(|_| Failure::new(code::INTERNAL, "the job's state has no JSON form"))?,
        state_version: STATE_VERSION,
        poll_after_ms: if state.webhook { POLL_MS_WITH_CALLBACK } else { pace },
        progress: prediction.logs.as_deref().and_then(progress::last),
        accepts_webhook: state.webhook,
        provider_id: Some(state.id),
    })
}

fn done(kind: Kind, prediction: &Prediction<'_>) -> Result<Outcome, Failure> {
    if prediction.data_removed == Some(true) {
        return Err(Failure::bad_response("the provider has already removed the results: make them again"));
    }
    let Some(output) = prediction.output else {
        return Err(Failure::bad_response("the provider finished without a result"));
    };
    let outputs = match kind {
        Kind::Prediction => output::outputs(output)?,
        Kind::Training => vec![trained(output)],
    };
    Ok(Outcome { outputs, usage: used(prediction) })
}

/// A training's result: the version it made, or whatever else it tells.
fn trained(output: &RawValue) -> Output {
    #[derive(Deserialize)]
    struct Trained {
        version: Option<String>,
    }
    match serde_json::from_str(output.get()) {
        Ok(Trained { version: Some(version) }) => Output::Model(version),
        _ => Output::Other(Other { kind: "replicate.output".to_owned(), json: output.get().to_owned() }),
    }
}

fn used(prediction: &Prediction<'_>) -> Vec<UsageLine> {
    let Some(metrics) = &prediction.metrics else { return Vec::new() };
    let seconds = metrics.predict_time.or(metrics.total_time).filter(|seconds| *seconds >= 0.0);
    let mut lines = Vec::with_capacity(2);
    lines
        .extend(seconds.map(|seconds| usage::line(meter::COMPUTE_MS, (seconds * 1000.0).ceil() as u64, &[])));
    lines.extend(metrics.image_count.map(|count| usage::line(meter::IMAGES, count, &[])));
    lines
}

#[cfg(test)]
mod tests;
