//! `/v1/predictions`.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::lifetime::{Run, now, span};
use super::models::{VERSION, films, known};
use super::webhook::{Event, Subscription};
use super::{invalid, not_found};
use crate::answer;
use crate::call::Call;
use crate::fault::FaultKind;
use crate::media::{FILM, Picture};
use crate::reply::{Answer, Reply};
use crate::server::Shared;

const OUTPUTS_MAX: u64 = 4;

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(call): Extension<Arc<Call>>,
) -> Answer {
    let version = call.text("version").ok_or_else(|| invalid("version: is required"))?;
    let (model, version) = match version.split_once(':') {
        Some((model, version)) => (model, version),
        None if version.contains('/') => (version, VERSION),
        None => ("mock/image", version),
    };
    begin(&shared, &call, model, version)
}

pub(super) async fn create_for_model(
    State(shared): State<Arc<Shared>>,
    Extension(call): Extension<Arc<Call>>,
    Path((owner, name)): Path<(String, String)>,
) -> Answer {
    begin(&shared, &call, &format!("{owner}/{name}"), "hidden")
}

fn begin(shared: &Arc<Shared>, call: &Call, model: &str, version: &str) -> Answer {
    known(model.split_once('/').map_or(model, |(_, name)| name))?;
    let input = call.json["input"].as_object().ok_or_else(|| invalid("input: must be an object"))?;
    let output = match films(model) {
        true => json!(format!("{}{FILM}", call.base_url)),
        false => outputs(call, &Value::Object(input.clone())),
    };
    let mut run = new_run(call, "predictions", model, version, output)?;
    let waits = call.header("prefer").is_some_and(|prefer| prefer.trim().starts_with("wait"));
    Ok(admit(shared, call, &mut run, waits))
}

/// The object of a new prediction or training.
pub(super) fn new_run(
    call: &Call,
    collection: &str,
    model: &str,
    version: &str,
    output: Value,
) -> Result<Run, Reply> {
    let lifetime = match call.header("cancel-after") {
        Some(text) => {
            let wrong = || invalid(&format!("Cancel-After: '{text}' is not a span: write 30s, 5m or 1h30m"));
            Some(span(text).ok_or_else(wrong)?)
        }
        None => None,
    };
    let deadline = lifetime.map(|lifetime| SystemTime::now() + lifetime);
    let id = call.id("mock");
    let url = format!("{}/v1/{collection}/{id}", call.base_url);
    let mut body = json!({
        "id": id,
        "model": model,
        "version": version,
        "input": call.json["input"],
        "logs": "",
        "output": null,
        "data_removed": false,
        "error": null,
        "source": "api",
        "status": "starting",
        "created_at": now(),
        "started_at": null,
        "completed_at": null,
        "urls": {
            "cancel": format!("{url}/cancel"),
            "get": url,
            "web": format!("{}/p/{id}", call.base_url),
        },
        "metrics": {},
    });
    if let Some(deadline) = deadline {
        body["deadline"] = json!(humantime::format_rfc3339_micros(deadline).to_string());
    }
    if let Some(webhook) = call.text("webhook") {
        body["webhook"] = json!(webhook);
    }
    let failure = match call.fault.as_ref().map(|fault| fault.kind) {
        Some(FaultKind::Fail) => Some("The model failed as it was asked to.".to_owned()),
        Some(FaultKind::FailEcho) => Some(format!("NSFW content detected in this: {}", call.json["input"])),
        _ => None,
    };
    Ok(Run { body, polls: 0, failure, output, deadline })
}

/// Keep a new run, tell its webhook, and answer with it as it is now.
pub(super) fn admit(shared: &Arc<Shared>, call: &Call, run: &mut Run, waits: bool) -> Reply {
    let subscription = Subscription::of(&call.json);
    let started = run.body.clone();
    if waits {
        run.finish();
    }
    let id = run.body["id"].as_str().unwrap_or_default().to_owned();
    // Twice: the input, and an output that echoes it.
    shared.replicate.runs.put(&id, 2 * call.body.len(), run.clone());
    if let Some(subscription) = subscription {
        tokio::spawn(tell(Arc::clone(shared), subscription, id, started));
    }
    Reply::json_with(StatusCode::CREATED, &run.body).charged()
}

/// Send a run's webhooks while it moves on by itself.
async fn tell(shared: Arc<Shared>, subscription: Subscription, id: String, started: Value) {
    let step = std::time::Duration::from_millis(shared.config.webhook_step_ms);
    let polls = shared.config.polls_to_finish;
    subscription.send(&shared.webhooks, Event::Start, &started).await;
    loop {
        let moved = shared.replicate.runs.with(&id, |run| {
            run.poll(polls);
            run.clone()
        });
        // Gone: the server was reset, or newer runs took its place.
        let Some(run) = moved else { return };
        subscription.send(&shared.webhooks, Event::Logs, &run.body).await;
        if run.ended() {
            if !run.body["output"].is_null() {
                subscription.send(&shared.webhooks, Event::Output, &run.body).await;
            }
            subscription.send(&shared.webhooks, Event::Completed, &run.body).await;
            return;
        }
        tokio::time::sleep(step).await;
    }
}

/// Links to as many images as `num_outputs` asks for; an echo is answered as text.
fn outputs(call: &Call, input: &Value) -> Value {
    if let Some(echo) = call.echo() {
        return json!([echo]);
    }
    let count = input["num_outputs"].as_u64().unwrap_or(1).clamp(1, OUTPUTS_MAX);
    let seed = answer::seed(input["prompt"].as_str().unwrap_or_default());
    let side = |name: &str| input[name].as_u64().unwrap_or(512).clamp(1, 4096) as u32;
    let picture =
        |index| Picture { width: side("width"), height: side("height"), seed: seed.wrapping_add(index) };
    (0..count).map(|index| format!("{}{}", call.base_url, picture(index).path())).collect()
}

pub(super) async fn get(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let polls = shared.config.polls_to_finish;
    let seen = shared.replicate.runs.with(&id, |run| {
        run.poll(polls);
        run.body.clone()
    });
    Ok(Reply::json(&seen.ok_or_else(not_found)?))
}

pub(super) async fn cancel(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let seen = shared.replicate.runs.with(&id, |run| {
        run.cancel();
        run.body.clone()
    });
    Ok(Reply::json(&seen.ok_or_else(not_found)?))
}

pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Reply {
    let is_prediction =
        |run: &Run| run.body["urls"]["get"].as_str().is_some_and(|url| url.contains("/predictions/"));
    let runs = shared.replicate.runs.all().into_iter();
    let results: Vec<Value> = runs.filter(is_prediction).take(100).map(|run| run.body).collect();
    Reply::json(&json!({"next": null, "previous": null, "results": results}))
}
