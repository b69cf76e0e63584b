//! `predictLongRunning`: operations that advance each time they are looked at, and the files they make.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{invalid, not_found};
use crate::call::Call;
use crate::fault::FaultKind;
use crate::media;
use crate::reply::{Answer, Reply};
use crate::server::Shared;

const CONTENT_PIECE_BYTES: usize = 512;
const COUNT_MAX: u64 = 4;

#[derive(Debug, Clone)]
pub(super) struct Operation {
    polls: u32,
    fails: bool,
    count: u64,
}

pub(super) fn create(shared: &Shared, call: &Call, model: &str) -> Answer {
    if !call.json["instances"][0]["prompt"].is_string() {
        return Err(invalid("instances[0].prompt is required"));
    }
    let count = call.json["parameters"]["sampleCount"].as_u64().unwrap_or(1).clamp(1, COUNT_MAX);
    let id = call.id("mockop");
    let operation = Operation { polls: 0, fails: call.has_fault(FaultKind::Fail), count };
    shared.gemini.operations.put(&id, call.body.len(), operation);
    Ok(Reply::json(&json!({"name": name(model, &id)})).charged())
}

pub(super) async fn poll(
    State(shared): State<Arc<Shared>>,
    Extension(call): Extension<Arc<Call>>,
    Path((model, id)): Path<(String, String)>,
) -> Answer {
    let seen = shared.gemini.operations.with(&id, |operation| {
        operation.polls += 1;
        operation.clone()
    });
    let operation = seen.ok_or_else(|| not_found("operations", &id))?;
    let mut body = json!({"name": name(&model, &id)});
    if operation.polls >= shared.config.polls_to_finish {
        body["done"] = json!(true);
        if operation.fails {
            body["error"] = json!({"code": 13, "message": "The video could not be made."});
        } else {
            body["response"] = made(&call, &id, operation.count);
        }
    }
    Ok(Reply::json(&body))
}

fn name(model: &str, id: &str) -> String {
    format!("models/{model}/operations/{id}")
}

fn made(call: &Call, id: &str, count: u64) -> Value {
    let samples: Vec<Value> = (0..count)
        .map(|place| {
            let uri = format!("{}/gemini/v1beta/files/{id}-{place}:download?alt=media", call.base_url);
            json!({"video": {"uri": uri}})
        })
        .collect();
    json!({
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse",
        "generateVideoResponse": {"generatedSamples": samples},
    })
}

/// The address that an operation names leads on to the one that has the bytes.
pub(super) async fn download(Path(file): Path<String>) -> Answer {
    if !file.ends_with(":download") {
        return Err(not_found("files", &file));
    }
    let location = format!("/gemini/download/v1beta/files/{file}?alt=media");
    Ok(Reply::bytes(StatusCode::FOUND, "text/html", "").header("location", location))
}

pub(super) async fn content(State(shared): State<Arc<Shared>>, Path(file): Path<String>) -> Answer {
    let id = file.rsplit_once('-').map_or(file.as_str(), |(id, _)| id);
    shared.gemini.operations.get(id).ok_or_else(|| not_found("files", &file))?;
    Ok(Reply::pieces("video/mp4", media::in_pieces(media::mp4(), CONTENT_PIECE_BYTES)))
}
