//! Pictures by in-house models, as jobs: made in the background, asked for until they are there.
//!
//! A job's ticket holds its whole request. So one that this process knows nothing of, because the server was restarted meanwhile,
//! is begun anew.

mod content;
mod request;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_domain::blob::{Blob, BlobStore};
use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::generation::media::{
    Cancellation, MediaOutput, MediaRequest, Outcome, Output, OutputSource, Step, Ticket,
};
use atelier_domain::generation::usage::UsageLine;
use atelier_inference::{EngineError, ImageEngine, ImageFamily, ImageRequest, Picture};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::failure::{engine_error, reported};
pub(super) use request::schema;
use request::{Source, Wanted};

/// Jobs whose pictures are unpacked at once: one is computed, the other gets ready or is packed.
const AT_ONCE: usize = 2;
/// How long a step waits for pictures that are soon there.
const SOON: Duration = Duration::from_secs(1);
/// How soon a job is looked at again: after an eighth of the time that it has taken, within these.
const POLL_MIN: Duration = Duration::from_millis(500);
const POLL_MAX: Duration = Duration::from_secs(5);
/// Work that nobody has asked for in so long a time is given up.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
const STATE_VERSION: u32 = 1;

/// What makes pictures, and of which files.
type Engine<'a> = (ImageFamily, &'a Arc<dyn ImageEngine>);

/// All that is being made.
pub(crate) struct Images {
    blobs: Arc<dyn BlobStore>,
    turns: Arc<Semaphore>,
    works: Mutex<HashMap<Uuid, Work>>,
}

/// One job's pictures.
struct Work {
    /// From 0 to 1; closed once the task has ended.
    progress: watch::Receiver<f64>,
    task: Task,
    begun: Instant,
    asked: Instant,
}

/// Work that ends when nobody holds it any more.
struct Task(JoinHandle<Result<Outcome, ProviderError>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a ticket says.
#[derive(Serialize, Deserialize)]
struct State {
    work: Uuid,
    wanted: Wanted,
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images").field("works", &self.works().len()).finish_non_exhaustive()
    }
}

impl Images {
    /// Inputs of jobs that were begun before this process are in `blobs`.
    pub(crate) fn new(blobs: Arc<dyn BlobStore>) -> Self {
        Self { blobs, turns: Arc::new(Semaphore::new(AT_ONCE)), works: Mutex::default() }
    }

    fn works(&self) -> MutexGuard<'_, HashMap<Uuid, Work>> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begin a job. What the model cannot do is refused, never silently left out.
    pub(super) async fn submit(
        &self,
        engine: Engine<'_>,
        request: MediaRequest,
    ) -> Result<Step, ProviderError> {
        let (wanted, image) = Wanted::of(engine.0, request)?;
        let work = self.begin(engine.1.clone(), wanted.clone(), image);
        self.step(State { work, wanted }, SOON).await
    }

    /// Go on with a job: its ticket says with which. `engine_of` finds what makes a model's pictures.
    pub(super) async fn resume<'a>(
        &self,
        state: &[u8],
        engine_of: impl FnOnce(&str) -> Result<Engine<'a>, ProviderError>,
    ) -> Result<Step, ProviderError> {
        let State { mut work, wanted } = read(state)?;
        if !self.works().contains_key(&work) {
            let engine = engine_of(&wanted.model)?.1.clone();
            let image = match &wanted.source {
                Some(source) => Some(self.open(source).await?),
                None => None,
            };
            tracing::info!(model = wanted.model, "a picture is begun anew: this process knows nothing of it");
            work = self.begin(engine, wanted.clone(), image);
        }
        self.step(State { work, wanted }, Duration::ZERO).await
    }

    /// Give up a job, unless it is done.
    pub(super) async fn cancel(&self, state: &[u8]) -> Result<Cancellation, ProviderError> {
        let State { work, .. } = read(state)?;
        let Some(work) = self.works().remove(&work) else { return Ok(Cancellation::Canceled(Vec::new())) };
        if !work.task.0.is_finished() {
            return Ok(Cancellation::Canceled(Vec::new()));
        }
        ended(work).await.map(Cancellation::Finished)
    }

    fn begin(&self, engine: Arc<dyn ImageEngine>, wanted: Wanted, image: Option<Blob>) -> Uuid {
        let (told, progress) = watch::channel(0.0);
        let turns = self.turns.clone();
        let task = tokio::spawn(async move {
            let _turn = turns.acquire().await;
            make(engine.as_ref(), &wanted, image, &told).await
        });
        let (id, now) = (Uuid::new_v4(), Instant::now());
        let mut works = self.works();
        works.retain(|_, work| work.asked.elapsed() < FORGOTTEN_AFTER);
        works.insert(id, Work { progress, task: Task(task), begun: now, asked: now });
        id
    }

    /// How a job stands, or what came of it; waits for its end for a little.
    async fn step(&self, state: State, patience: Duration) -> Result<Step, ProviderError> {
        let known = self.works().get_mut(&state.work).map(|work| {
            work.asked = Instant::now();
            (work.progress.clone(), work.begun)
        });
        let (mut progress, begun) = known.ok_or_else(given_up)?;
        let has_ended = async { while progress.changed().await.is_ok() {} };
        if timeout(patience, has_ended).await.is_ok() {
            let work = self.works().remove(&state.work).ok_or_else(given_up)?;
            return ended(work).await.map(Step::Done);
        }
        let progress = Some(*progress.borrow());
        let poll_after = (begun.elapsed() / 8).clamp(POLL_MIN, POLL_MAX);
        let bytes = serde_json::to_vec(&state).map_err(|error| internal(error.to_string()))?;
        Ok(Step::Pending(Ticket {
            state: bytes,
            state_version: STATE_VERSION,
            poll_after_ms: u64::try_from(poll_after.as_millis()).unwrap_or(u64::MAX),
            progress,
            accepts_webhook: false,
            provider_id: None,
        }))
    }

    async fn open(&self, source: &Source) -> Result<Blob, ProviderError> {
        let (blobs, source) = (self.blobs.clone(), source.clone());
        let found = blocking(move || blobs.open(&source.blob, &source.content_type)).await?;
        match found {
            Ok(Some(blob)) => Ok(blob),
            Ok(None) => Err(internal("its image is gone from this server's storage".to_owned())),
            Err(error) => Err(internal(format!("its image cannot be read: {error}"))),
        }
    }
}

async fn ended(mut work: Work) -> Result<Outcome, ProviderError> {
    (&mut work.task.0).await.unwrap_or_else(|error| Err(stopped(&error)))
}

/// What so many pictures use.
pub(super) fn usage(count: u32) -> Vec<UsageLine> {
    vec![UsageLine::new("images", u64::from(count))]
}

/// Make all pictures of a job, one after another.
async fn make(
    engine: &dyn ImageEngine,
    wanted: &Wanted,
    image: Option<Blob>,
    told: &watch::Sender<f64>,
) -> Result<Outcome, ProviderError> {
    let info = engine.warm().await.map_err(engine_error)?;
    let image = match image {
        Some(blob) => Some(blocking(move || content::decode(&blob)).await??),
        None => None,
    };
    let mut outputs = Vec::new();
    for (index, request) in wanted.requests(&info, image)?.into_iter().enumerate() {
        let seed = match request {
            ImageRequest::Generate { seed } => i64::try_from(seed).ok(),
            ImageRequest::Upscale(_) | ImageRequest::Restyle { .. } => None,
        };
        let share = |share: f64| (index as f64 + share) / f64::from(wanted.count);
        let picture = made(engine, request, |done| {
            told.send_replace(share(done));
        })
        .await?;
        let attributes = vec![("size".to_owned(), format!("{}x{}", picture.width(), picture.height()))];
        let format = wanted.format;
        let blob = blocking(move || content::encode(picture, format)).await??;
        let content_type = Some(blob.content_type.clone());
        let source = OutputSource::Blob(blob);
        outputs.push(Output::Media(MediaOutput {
            source,
            content_type,
            revised_prompt: None,
            seed,
            attributes,
        }));
    }
    Ok(Outcome { outputs, usage: usage(wanted.count) })
}

/// One picture; `told` hears which share of it is done.
async fn made(
    engine: &dyn ImageEngine,
    request: ImageRequest,
    told: impl Fn(f64),
) -> Result<Picture, ProviderError> {
    let making = engine.make(request).await.map_err(engine_error)?;
    let mut pieces = making.pieces();
    let finish = making.finish();
    tokio::pin!(finish);
    loop {
        tokio::select! {
            picture = &mut finish => return picture.map_err(engine_error),
            Ok(()) = pieces.changed() => {
                let now = *pieces.borrow_and_update();
                told(now.done as f64 / now.total.max(1) as f64);
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ProviderError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| stopped(&error))
}

fn read(state: &[u8]) -> Result<State, ProviderError> {
    serde_json::from_slice(state).map_err(|error| internal(format!("its state cannot be read: {error}")))
}

fn internal(message: String) -> ProviderError {
    reported(FailureCode::Internal, message, None)
}

/// Another step of the same job has taken what came of it.
fn given_up() -> ProviderError {
    engine_error(EngineError::Unloaded)
}

fn stopped(error: &JoinError) -> ProviderError {
    tracing::error!(%error, "making a picture stopped");
    engine_error(EngineError::Stopped)
}
