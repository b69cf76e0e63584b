//! Images, video, music and sounds: work that runs as a job.

use super::usage::UsageLine;
use super::{Json, Media, Other, empty_object};
use crate::blob::Blob;
use crate::model::Task;

#[derive(Clone, Debug)]
pub struct MediaInput {
    /// `image`, `mask`, `first-frame`, `last-frame`, `reference`, `video`, `audio`
    pub role: String,
    pub media: Media,
}

#[derive(Clone, Debug)]
pub struct MediaRequest {
    pub model: String,
    /// A media task's word, e.g. `image-generation`.
    pub task: String,
    pub prompt: Option<String>,
    pub negative_prompt: Option<String>,
    pub inputs: Vec<MediaInput>,
    pub count: u32,
    /// `WIDTHxHEIGHT` or `auto`.
    pub size: Option<String>,
    /// `W:H`
    pub aspect_ratio: Option<String>,
    pub duration_ms: Option<u64>,
    pub seed: Option<i64>,
    pub quality: Option<String>,
    pub format: Option<String>,
    pub background: Option<String>,
    /// Unfinished pictures that the caller wants to see meanwhile, at most.
    pub previews: u32,
    pub end_user: Option<String>,
    pub options: Json,
}

impl MediaRequest {
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
            options: empty_object(),
        }
    }
}

/// Where a job stands at the provider.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Ticket {
    /// What the plugin needs to go on; at most [`Ticket::STATE_BYTES_MAX`].
    pub state: Vec<u8>,
    pub state_version: u32,
    pub poll_after_ms: u64,
    /// 0 to 1.
    pub progress: Option<f64>,
    pub accepts_webhook: bool,
    pub provider_id: Option<String>,
}

impl Ticket {
    /// The most bytes of a ticket's state.
    pub const STATE_BYTES_MAX: usize = 64 * 1024;
}

#[derive(Clone, Debug)]
pub enum OutputSource {
    Blob(Blob),
    /// To be fetched, without secrets, from the manifest's download hosts.
    Remote(String),
    /// To be fetched with the instance's secret, from a host that the instance may reach.
    Guarded(String),
}

/// An unfinished picture, shown while its job runs and then forgotten.
#[derive(Clone, Debug)]
pub struct Preview {
    /// From 0.
    pub index: u32,
    pub content_type: String,
    pub bytes: bytes::Bytes,
}

#[derive(Clone, Debug)]
pub struct MediaOutput {
    pub source: OutputSource,
    pub content_type: Option<String>,
    pub revised_prompt: Option<String>,
    pub seed: Option<i64>,
    pub attributes: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub enum Output {
    Media(MediaOutput),
    Text(String),
    /// The provider's id of a model that a training made.
    Model(String),
    Other(Other),
}

#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub outputs: Vec<Output>,
    pub usage: Vec<UsageLine>,
}

/// Where a call of a job ended.
#[derive(Clone, Debug)]
pub enum Step {
    Done(Outcome),
    Pending(Ticket),
}

/// Why a job goes on.
#[derive(Clone, Debug)]
pub enum Wake {
    Timer,
    Webhook(CallbackEvent),
    /// The host restarted.
    Resumed,
}

/// What became of a wish to cancel.
#[derive(Clone, Debug)]
pub enum Cancellation {
    Canceled(Vec<UsageLine>),
    Finished(Outcome),
    Unsupported,
}

/// A set of data to train with.
#[derive(Clone, Debug)]
pub struct TrainingDataset {
    /// `training`, `validation`
    pub role: String,
    pub media: Media,
}

/// A fine-tune or cloned voice.
#[derive(Clone, Debug)]
pub struct TrainingRequest {
    /// The base model.
    pub model: String,
    pub datasets: Vec<TrainingDataset>,
    /// A suffix for the new model's name.
    pub suffix: Option<String>,
    pub seed: Option<i64>,
    pub hyperparameters: Json,
    pub options: Json,
}

/// Work that runs as a job.
#[derive(Clone, Debug)]
pub enum JobRequest {
    Media(Box<MediaRequest>),
    Training(TrainingRequest),
}

/// Which interface a job belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    Media,
    Training,
}

/// A provider's callback, its signature already checked.
#[derive(Clone, Debug)]
pub struct Callback {
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub query: String,
    pub body: bytes::Bytes,
}

/// One event found in a provider's callback.
#[derive(Clone, Debug)]
pub struct CallbackEvent {
    /// The provider's word for what happened.
    pub kind: String,
    /// The [`Ticket::provider_id`] of the job that it is about. Absent: the address that was called says which, or it is about none.
    pub provider_id: Option<String>,
    pub json: Json,
}

/// A callback whose sender was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Equal for repetitions of one delivery.
    pub id: String,
    /// Absent where the provider signs nothing: then nothing that the callback says can be believed.
    pub is_signed: bool,
}

/// Why a callback is not believed. None of it is told to whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackRefusal {
    #[error("its provider calls nobody back")]
    Unexpected,
    #[error("its signature is missing or malformed")]
    Unsigned,
    #[error("its signature is wrong")]
    Forged,
    #[error("its time is more than five minutes away")]
    Stale,
}
