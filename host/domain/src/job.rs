//! Jobs: generations that outlive the call that asked for them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::blob::BlobId;
use crate::generation::media::Ticket;
use crate::generation::usage::UsageLine;
use crate::hidden::{Hidden, HiddenTexts};
use crate::id::{FileId, JobId, TemplateId, UserId};
use crate::model::Task;
use crate::money::Bill;
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// Where a job stands. The last three are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    Queued,
    Processing,
    Succeeded,
    Failed,
    Canceled,
}

impl JobState {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, JobState::Succeeded | JobState::Failed | JobState::Canceled)
    }

    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Queued => "queued",
            JobState::Processing => "processing",
            JobState::Succeeded => "succeeded",
            JobState::Failed => "failed",
            JobState::Canceled => "canceled",
        }
    }
}

/// A medium as stored with a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredSource {
    Blob { id: BlobId, size: u64 },
    Url(String),
}

/// An input of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredInput {
    pub role: String,
    pub source: StoredSource,
    pub content_type: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub attributes: Vec<(String, String)>,
}

/// What a training was asked for beyond what every job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTraining {
    /// Where the inputs come from: the owner's files, which may be gone by now.
    pub training_file: FileId,
    pub validation_file: Option<FileId>,
    /// What the new model's name ends with.
    pub suffix: Option<String>,
    /// A JSON object as text.
    pub hyperparameters: String,
    /// The owner's own.
    pub metadata: Vec<(String, String)>,
}

/// What a template made of its caller's variables. The version is kept as it was: the job goes on with it, whatever becomes of the
/// template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTemplate {
    pub id: TemplateId,
    pub version: u32,
    /// What the caller filled in: a JSON object as text. All that anybody is shown of the job's input.
    pub variables: String,
    pub prompt: Hidden,
    pub negative_prompt: Option<Hidden>,
    /// Provider-specific options: a JSON object as text.
    pub options: Hidden,
}

impl StoredTemplate {
    /// What nobody may be shown, also where a provider repeats it.
    pub fn hidden(&self) -> HiddenTexts {
        let negative = self.negative_prompt.iter().map(Hidden::reveal);
        HiddenTexts::of_prompt(std::iter::once(self.prompt.reveal()).chain(negative), self.options.reveal())
    }
}

/// What was asked for, as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredRequest {
    /// `instance/model`.
    pub model: String,
    pub task: String,
    pub prompt: Option<String>,
    pub negative_prompt: Option<String>,
    pub inputs: Vec<StoredInput>,
    pub count: u32,
    pub size: Option<String>,
    pub aspect_ratio: Option<String>,
    pub duration_ms: Option<u64>,
    pub seed: Option<i64>,
    pub quality: Option<String>,
    pub format: Option<String>,
    pub background: Option<String>,
    #[serde(default)]
    pub previews: u32,
    #[serde(default)]
    pub end_user: Option<String>,
    /// Provider-specific options: a JSON object as text.
    pub options: String,
    /// Set for trainings.
    #[serde(default)]
    pub training: Option<Box<StoredTraining>>,
    /// Set for what a template was used for: prompts and options are there, and those above are empty.
    #[serde(default)]
    pub template: Option<Box<StoredTemplate>>,
}

impl StoredRequest {
    /// A request for one result, with nothing but a model and a task.
    pub fn new(model: String, task: Task) -> Self {
        Self {
            model,
            task: task.as_str().to_owned(),
            prompt: None,
            negative_prompt: None,
            inputs: Vec::new(),
            count: 1,
            size: None,
            aspect_ratio: None,
            duration_ms: None,
            seed: None,
            quality: None,
            format: None,
            background: None,
            previews: 0,
            end_user: None,
            options: "{}".to_owned(),
            training: None,
            template: None,
        }
    }

    /// The provider's own id of the model.
    pub fn own_model(&self) -> &str {
        self.model.split_once('/').map_or(self.model.as_str(), |(_, model)| model)
    }

    /// Whether a film is made.
    pub fn is_video(&self) -> bool {
        [Task::VideoGeneration, Task::VideoRemix].iter().any(|task| task.as_str() == self.task)
    }

    /// The instance that serves it.
    pub fn instance(&self) -> &str {
        self.model.split('/').next().unwrap_or_default()
    }
}

/// A result of a job, kept in our own store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StoredOutput {
    Media {
        blob: BlobId,
        size: u64,
        content_type: String,
        revised_prompt: Option<String>,
        seed: Option<i64>,
        /// What the provider says of it, e.g. `background` = `transparent`.
        #[serde(default)]
        attributes: Vec<(String, String)>,
    },
    Text(String),
    Model(String),
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// A stable word: a failure code of the provider contract, or `deadline_exceeded`, `outcome_unknown`, ….
    pub code: String,
    pub message: String,
}

/// Which of an owner's jobs to list.
#[derive(Clone, Copy, Debug)]
pub struct JobPage {
    /// Begin behind this one.
    pub after: Option<JobId>,
    pub limit: usize,
    pub newest_first: bool,
}

/// What became of a wish to delete a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erasure {
    Erased,
    /// It goes on.
    Open,
    /// Its owner has none such.
    Absent,
}

/// A job: the single source of truth about one generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub owner: UserId,
    pub state: JobState,
    pub request: StoredRequest,
    /// The id of the caller's request that began it; absent where nobody noted it.
    #[serde(default)]
    pub request_id: Option<String>,
    /// That request's span, where it was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    /// When it ends whatever happens.
    pub deadline: Timestamp,
    /// 0 to 1.
    pub progress: Option<f64>,
    pub attempt: u32,
    /// A charging request may have left and its answer has not been recorded.
    pub charging: bool,
    /// The owner wants it stopped.
    pub cancel_requested: bool,
    /// When to wake it next.
    pub wake_at: Timestamp,
    pub ticket: Option<Ticket>,
    pub outputs: Vec<StoredOutput>,
    pub usage: Vec<UsageLine>,
    pub error: Option<JobError>,
    /// What it costs.
    #[serde(default)]
    pub bill: Bill,
    /// Its owner has deleted it: what is left is what the books need.
    #[serde(default)]
    pub is_erased: bool,
}

impl Job {
    /// As it was when it was admitted, whatever has happened to it since.
    pub fn as_admitted(self) -> Self {
        Self {
            state: JobState::Queued,
            started: None,
            finished: None,
            progress: None,
            attempt: 0,
            charging: false,
            cancel_requested: false,
            wake_at: self.created,
            ticket: None,
            outputs: Vec::new(),
            usage: Vec::new(),
            error: None,
            bill: Bill { cost: None, is_estimated: false, ..self.bill },
            ..self
        }
    }

    /// What stays of it once its owner has deleted it: neither what they put in nor what was made.
    pub fn erased(self) -> Self {
        let request = StoredRequest {
            prompt: None,
            negative_prompt: None,
            inputs: Vec::new(),
            end_user: None,
            options: "{}".to_owned(),
            training: None,
            template: None,
            ..self.request
        };
        Self { request, ticket: None, outputs: Vec::new(), is_erased: true, ..self }
    }

    /// What stays of it once its owner is deleted: the same, without what its provider said of it.
    pub fn orphaned(self) -> Self {
        let error = self.error.clone().map(|error| JobError { message: String::new(), ..error });
        Self { error, request_id: None, ..self.erased() }
    }

    /// The blobs that its row names.
    pub fn blobs(&self) -> BTreeSet<BlobId> {
        let inputs = self.request.inputs.iter().filter_map(|input| match &input.source {
            StoredSource::Blob { id, .. } => Some(*id),
            StoredSource::Url(_) => None,
        });
        let outputs = self.outputs.iter().filter_map(|output| match output {
            StoredOutput::Media { blob, .. } => Some(*blob),
            StoredOutput::Text(_) | StoredOutput::Model(_) => None,
        });
        inputs.chain(outputs).collect()
    }

    /// Whether its provider knows it by another id than this one, as far as is known.
    pub fn is_another_at_its_provider(&self, provider_id: &str) -> bool {
        let known = self.ticket.as_ref().and_then(|ticket| ticket.provider_id.as_deref());
        known.is_some_and(|known| known != provider_id)
    }
}
