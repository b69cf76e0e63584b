//! `POST /v1/models/{owner}/{name}/versions/{version}/trainings`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use serde_json::json;

use super::invalid;
use super::models::known;
use super::predictions::{admit, new_run};
use crate::call::Call;
use crate::reply::Answer;
use crate::server::Shared;

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(call): Extension<Arc<Call>>,
    Path((owner, name, version)): Path<(String, String, String)>,
) -> Answer {
    known(&name)?;
    let destination = call.text("destination").ok_or_else(|| invalid("destination: is required"))?;
    if !call.json["input"].is_object() {
        return Err(invalid("input: must be an object"));
    }
    let weights = format!("{}/files/64x64-1.png", call.base_url);
    let output = json!({"version": format!("{destination}:{}", super::models::VERSION), "weights": weights});
    let mut run = new_run(&call, "trainings", &format!("{owner}/{name}"), &version, output)?;
    Ok(admit(&shared, &call, &mut run, false))
}
