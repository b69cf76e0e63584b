//! A training as OpenAI's API writes it.

use std::collections::BTreeMap;

use atelier_domain::generation::usage::UsageLine;
use atelier_domain::id::FileId;
use atelier_domain::job::{Job, JobState, StoredOutput, StoredTraining};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::job_id;
use crate::http::files::file_id;
use crate::http::openapi::{any_object, words};
use crate::http::{ApiError, prefix};

/// The meter under which providers report how many tokens they trained on.
const TRAINING_TOKENS: &str = "training-tokens";

#[derive(Serialize, ToSchema)]
#[schema(as = FineTuningJob)]
pub(in crate::http) struct TrainingView<'a> {
    #[schema(inline, value_type = JobWord)]
    object: &'static str,
    #[schema(schema_with = job_id)]
    id: String,
    /// The base model by its full id.
    model: &'a str,
    /// Unix seconds.
    created_at: u64,
    #[schema(required)]
    finished_at: Option<u64>,
    /// The model that was made, by its full id.
    #[schema(required)]
    fine_tuned_model: Option<String>,
    /// Always empty: there are no organisations here.
    organization_id: &'static str,
    /// Always empty.
    #[schema(value_type = Vec<String>)]
    result_files: [String; 0],
    #[schema(inline, value_type = StatusWord)]
    status: &'static str,
    #[schema(schema_with = file_id)]
    training_file: String,
    #[schema(required)]
    validation_file: Option<String>,
    #[schema(schema_with = any_object)]
    hyperparameters: &'a RawValue,
    /// As far as the provider reports them.
    #[schema(required)]
    trained_tokens: Option<u64>,
    #[schema(required)]
    error: Option<TrainingError<'a>>,
    #[schema(required)]
    user_provided_suffix: Option<&'a str>,
    /// As it was sent; 0 where none was.
    seed: i64,
    /// Always `null`: no provider tells.
    #[schema(required, value_type = Option<u64>)]
    estimated_finish: (),
    /// Always empty.
    #[schema(value_type = Vec<String>)]
    integrations: [String; 0],
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: BTreeMap<&'a str, &'a str>,
    #[schema(schema_with = any_object)]
    method: Value,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FineTuningError)]
struct TrainingError<'a> {
    code: &'a str,
    message: &'a str,
    #[schema(required)]
    param: Option<&'static str>,
}

words! {
    JobWord: "fine_tuning.job";
    StatusWord: "queued" | "running" | "succeeded" | "failed" | "cancelled";
}

/// The API's word for a state.
pub(super) fn status(job: &Job) -> &'static str {
    match job.state {
        JobState::Queued => "queued",
        JobState::Processing => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Canceled => "cancelled",
    }
}

/// The full id of the model that a training made.
pub(super) fn made(job: &Job) -> Option<String> {
    job.outputs.iter().find_map(|output| match output {
        StoredOutput::Model(own_id) => Some(format!("{}/{own_id}", job.request.instance())),
        StoredOutput::Media { .. } | StoredOutput::Text(_) => None,
    })
}

/// A training, for the reference.
pub(super) fn sample(status: &str) -> Value {
    json!({"object": "fine_tuning.job", "id": "ftjob-019ab0c3e5f07d0aa1b2c3d4e5f60718", "model": "openai/gpt-4.1-mini-2025-04-14",
        "created_at": 1_795_305_600, "finished_at": null, "fine_tuned_model": null, "organization_id": "", "result_files": [],
        "status": status, "training_file": "file-019ab0c3e5f07d0aa1b2c3d4e5f60718", "validation_file": null, "hyperparameters": {},
        "trained_tokens": null, "error": null, "user_provided_suffix": null, "seed": 0, "estimated_finish": null, "integrations": [],
        "metadata": {}, "method": {"type": "supervised", "supervised": {"hyperparameters": {}}}})
}

impl<'a> TrainingView<'a> {
    pub(super) fn new(job: &'a Job, training: &'a StoredTraining) -> Result<Self, serde_json::Error> {
        let hyperparameters: &RawValue = serde_json::from_str(&training.hyperparameters)?;
        let options: Value = serde_json::from_str(&job.request.options)?;
        let method = match options.get("method") {
            Some(method) => method.clone(),
            None => json!({"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}),
        };
        let tokens = |line: &&UsageLine| line.meter == TRAINING_TOKENS;
        let file = |id: &FileId| prefix::of(prefix::FILE, &id.simple());
        Ok(Self {
            object: "fine_tuning.job",
            id: prefix::of(prefix::FINE_TUNING_JOB, &job.id.simple()),
            model: &job.request.model,
            created_at: job.created.unix_seconds(),
            finished_at: job.finished.map(|moment| moment.unix_seconds()),
            fine_tuned_model: made(job),
            organization_id: "",
            result_files: [],
            status: status(job),
            training_file: file(&training.training_file),
            validation_file: training.validation_file.as_ref().map(file),
            hyperparameters,
            trained_tokens: job.usage.iter().find(tokens).map(|line| line.quantity),
            error: job.error.as_ref().map(|error| TrainingError {
                code: &error.code,
                message: &error.message,
                param: None,
            }),
            user_provided_suffix: training.suffix.as_deref(),
            seed: job.request.seed.unwrap_or(0),
            estimated_finish: (),
            integrations: [],
            metadata: training.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            method,
        })
    }
}

/// The view of a job that is known to be a training.
pub(in crate::http) fn view(job: &Job) -> Result<TrainingView<'_>, ApiError> {
    let training = job.request.training.as_deref();
    let training = training.ok_or_else(|| ApiError::bug("a generation was taken for a training"))?;
    TrainingView::new(job, training).map_err(|error| ApiError::bug(error.to_string()))
}
