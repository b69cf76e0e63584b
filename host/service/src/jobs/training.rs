//! Trainings: jobs over files of the caller's, whose result is a model.

use atelier_domain::file::StoredFile;
use atelier_domain::generation::media::{JobKind, JobRequest, MediaInput, TrainingDataset, TrainingRequest};
use atelier_domain::generation::{Json, Media, MediaSource};
use atelier_domain::id::JobId;
use atelier_domain::job::{Job, StoredRequest, StoredTraining};
use atelier_domain::model::Task;
use serde_json::value::RawValue;

use super::{Inner, JobPorts, Jobs};
use crate::ServiceError;
use crate::caller::Caller;
use crate::files::opened;

/// A training to be begun.
#[derive(Debug)]
pub struct NewTraining {
    /// The base model: an id or alias.
    pub model: String,
    pub training_file: StoredFile,
    pub validation_file: Option<StoredFile>,
    pub suffix: Option<String>,
    pub seed: Option<i64>,
    /// A JSON object.
    pub hyperparameters: Json,
    /// Provider-specific options: a JSON object.
    pub options: Json,
    /// The caller's own.
    pub metadata: Vec<(String, String)>,
}

/// The roles of data sets (see `wit/`).
const TRAINING: &str = "training";
const VALIDATION: &str = "validation";

/// Which interface a job belongs to.
pub(super) fn kind_of(job: &Job) -> JobKind {
    if job.request.training.is_some() { JobKind::Training } else { JobKind::Media }
}

impl Jobs {
    /// Admits a training: once this returns, it is on disk and will be run.
    ///
    /// # Errors
    /// The model cannot be trained, a file's content is gone, or the caller has too many open jobs.
    pub async fn admit_training(&self, caller: &Caller, new: NewTraining) -> Result<Job, ServiceError> {
        if let Some(job) = self.admitted_before(caller).await? {
            return Ok(job);
        }
        let place = self.place(caller).await?;
        let inner = &self.inner;
        let resolved = inner.resolve(caller, &new.model, Task::Training).await?;
        let mut inputs = vec![inner.data_set(TRAINING, &new.training_file).await?];
        if let Some(file) = &new.validation_file {
            inputs.push(inner.data_set(VALIDATION, file).await?);
        }
        let training = StoredTraining {
            training_file: new.training_file.id,
            validation_file: new.validation_file.map(|file| file.id),
            suffix: new.suffix,
            hyperparameters: new.hyperparameters.get().to_owned(),
            metadata: new.metadata,
        };
        let mut kept = Vec::with_capacity(inputs.len());
        for input in inputs {
            kept.push(inner.keep_input(input).await?);
        }
        let request = StoredRequest {
            inputs: kept,
            seed: new.seed,
            options: new.options.get().to_owned(),
            training: Some(Box::new(training)),
            ..StoredRequest::new(resolved.model.id.as_str().to_owned(), Task::Training)
        };
        let mut job = inner.job(caller, Task::Training, request);
        job.bill.is_own_key = resolved.model.is_own;
        self.create(caller, job, &*resolved.provider, &[], place).await
    }

    /// The caller's trainings, newest first.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn trainings(
        &self,
        caller: &Caller,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, ServiceError> {
        let (store, owner) = (self.inner.ports.store.clone(), caller.user());
        self.inner.ports.pool.run(move || store.trainings_of(owner, before, limit)).await
    }
}

impl Inner {
    async fn data_set(&self, role: &str, file: &StoredFile) -> Result<MediaInput, ServiceError> {
        let JobPorts { blobs, pool, .. } = &self.ports;
        let blob = opened(blobs, pool, "a file", file.blob, file.size, &file.content_type).await?;
        let media = Media {
            name: Some(file.name.clone()),
            ..Media::new(MediaSource::Blob(blob), Some(file.content_type.clone()))
        };
        Ok(MediaInput { role: role.to_owned(), media })
    }

    /// What a job's provider is asked.
    pub(super) async fn request(&self, job: &Job) -> Result<JobRequest, ServiceError> {
        let Some(training) = &job.request.training else {
            return Ok(JobRequest::Media(Box::new(self.media_request(job).await?)));
        };
        let inputs = self.inputs(&job.request).await?;
        Ok(JobRequest::Training(TrainingRequest {
            model: job.request.own_model().to_owned(),
            datasets: inputs
                .into_iter()
                .map(|MediaInput { role, media }| TrainingDataset { role, media })
                .collect(),
            suffix: training.suffix.clone(),
            seed: job.request.seed,
            hyperparameters: stored_json(&training.hyperparameters)?,
            options: stored_json(&job.request.options)?,
        }))
    }
}

/// JSON that was checked before it was stored.
pub(super) fn stored_json(text: &str) -> Result<Json, ServiceError> {
    RawValue::from_string(text.to_owned())
        .map_err(|error| ServiceError::Internal(format!("stored options are no JSON: {error}")))
}
