//! `/v1/fine_tuning/jobs`: jobs that advance each time they are looked at.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{invalid, not_found, required, required_model};
use crate::call::{Call, created_at};
use crate::fault::FaultKind;
use crate::reply::{Answer, Reply};
use crate::server::Shared;

#[derive(Debug, Clone)]
pub(super) struct Job {
    body: Value,
    polls: u32,
    fails: bool,
}

impl Job {
    fn ended(&self) -> bool {
        self.body["finished_at"].is_u64()
    }

    fn end(&mut self, status: &str) {
        let created = self.body["created_at"].as_u64().unwrap_or_default();
        self.body["status"] = json!(status);
        self.body["finished_at"] = json!(created + u64::from(self.polls) + 1);
    }

    /// Validating, queued, running, then succeeded or failed, by the number of polls.
    fn poll(&mut self, polls_to_finish: u32) {
        self.polls += 1;
        if self.ended() {
            return;
        }
        if self.polls < polls_to_finish {
            let halfway = self.polls * 2 >= polls_to_finish;
            self.body["status"] = json!(if halfway { "running" } else { "queued" });
        } else if self.fails {
            self.body["error"] = json!({"code": "invalid_training_file", "message": "The training failed.", "param": "training_file"});
            self.end("failed");
        } else {
            let model = self.body["model"].as_str().unwrap_or_default();
            self.body["fine_tuned_model"] = json!(format!("ft:{model}:mock::1"));
            self.body["trained_tokens"] = json!(1000);
            self.end("succeeded");
        }
    }
}

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(call): Extension<Arc<Call>>,
) -> Answer {
    let model = required_model(&call)?;
    let training_file = required(&call, "training_file")?;
    let id = call.id("ftjob-");
    let method = call.json.get("method").cloned();
    let body = json!({
        "object": "fine_tuning.job",
        "id": id,
        "model": model,
        "created_at": created_at(call.number),
        "finished_at": null,
        "fine_tuned_model": null,
        "organization_id": "org-mock",
        "result_files": [],
        "status": "validating_files",
        "validation_file": call.json["validation_file"],
        "training_file": training_file,
        "hyperparameters": {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"},
        "trained_tokens": null,
        "error": null,
        "user_provided_suffix": call.json["suffix"],
        "seed": call.number_of("seed").unwrap_or(0),
        "estimated_finish": null,
        "integrations": [],
        "metadata": call.json["metadata"],
        "method": method.unwrap_or_else(|| json!({"type": "supervised"})),
    });
    let job = Job { body: body.clone(), polls: 0, fails: call.has_fault(FaultKind::Fail) };
    shared.openai.jobs.put(&id, call.body.len(), job);
    Ok(Reply::json(&body).charged())
}

pub(super) async fn get(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let polls = shared.config.polls_to_finish;
    let seen = shared.openai.jobs.with(&id, |job| {
        job.poll(polls);
        job.body.clone()
    });
    Ok(Reply::json(&seen.ok_or_else(|| not_found("fine-tuning job", &id))?))
}

pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Reply {
    let data: Vec<Value> = shared.openai.jobs.all().into_iter().map(|job| job.body).collect();
    Reply::json(&json!({"object": "list", "data": data, "has_more": false}))
}

pub(super) async fn cancel(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let cancelled = shared.openai.jobs.with(&id, |job| {
        if job.ended() {
            let status = job.body["status"].as_str().unwrap_or_default();
            return Err(invalid(&format!("The job has already {status}."), "id", "invalid_state"));
        }
        job.end("cancelled");
        Ok(Reply::json(&job.body))
    });
    cancelled.unwrap_or_else(|| Err(not_found("fine-tuning job", &id)))
}

pub(super) async fn events(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let job = shared.openai.jobs.get(&id).ok_or_else(|| not_found("fine-tuning job", &id))?;
    let event = json!({
        "object": "fine_tuning.job.event",
        "id": id.replace("ftjob-", "ftevent-"),
        "created_at": job.body["created_at"],
        "level": "info",
        "message": format!("The job is {}", job.body["status"].as_str().unwrap_or_default()),
        "type": "message",
    });
    Ok(Reply::json(&json!({"object": "list", "data": [event], "has_more": false})))
}
