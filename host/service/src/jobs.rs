//! Media jobs: admitted durably, run by bounded workers, taken up again after a restart.
//!
//! The store is the queue: a job's row says when it wants to be woken, so that nothing is lost with the process. Before
//! a charging request leaves, the row says so; a process that finds such a row unfinished does not send it again.

mod admit;
mod backoff;
mod callback;
mod charging;
mod engine;
mod outputs;
mod recording;
mod relief;
mod schedule;
mod step;
mod training;
mod videos;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_domain::account::Scope;
use atelier_domain::blob::{Blob, BlobId, BlobStore};
use atelier_domain::generation::media::{CallbackEvent, Preview};
use atelier_domain::id::{JobId, UserId};
use atelier_domain::job::Job;
use atelier_domain::model::Task;
use atelier_domain::provider::PreviewSink;
use atelier_domain::store::JobStore;
use atelier_domain::time::Clock;
use atelier_domain::trace::Tracer;
use tokio::sync::{Notify, OnceCell, Semaphore, mpsc};

use crate::callbacks::CallbackAddresses;
use crate::caller::Caller;
use crate::disk::Room;
use crate::fetcher::Fetcher;
use crate::files::opened;
use crate::ledger::Ledger;
use crate::meter::Meter;
use crate::own_keys::OwnKeys;
use crate::registry::Registry;
use crate::{ServiceError, StoragePool};
use schedule::Schedule;
pub use schedule::{QueueCounts, QueueLimits};

pub(crate) use callback::Woken;
pub use training::NewTraining;
pub use videos::{is_video, made_by};

/// Bounds of the job engine.
#[derive(Clone, Copy, Debug)]
pub struct JobLimits {
    /// Jobs that take a step at once.
    pub workers_max: usize,
    pub queue: QueueLimits,
    /// Bytes of one result.
    pub output_bytes_max: u64,
}

impl Default for JobLimits {
    fn default() -> Self {
        Self { workers_max: 64, queue: QueueLimits::default(), output_bytes_max: 1 << 30 }
    }
}

/// How long a task may take (J-10).
pub fn time_for(task: Task) -> Duration {
    Duration::from_secs(match task {
        Task::VideoGeneration | Task::VideoRemix | Task::ImageUpscale | Task::Music | Task::Stems => 30 * 60,
        Task::Training => 24 * 3600,
        Task::ImageGeneration
        | Task::ImageEdit
        | Task::ImageVariation
        | Task::SoundEffect
        | Task::Chat
        | Task::Speech
        | Task::Transcription
        | Task::Translation
        | Task::Embedding
        | Task::Moderation => 120,
    })
}

/// What the engine works with.
#[derive(Debug)]
pub struct JobPorts {
    pub store: Arc<dyn JobStore>,
    pub blobs: Arc<dyn BlobStore>,
    pub pool: StoragePool,
    pub registry: Arc<Registry>,
    pub own_keys: Arc<OwnKeys>,
    pub fetcher: Arc<dyn Fetcher>,
    pub clock: Arc<dyn Clock>,
    pub meter: Arc<dyn Meter>,
    pub ledger: Arc<Ledger>,
    pub room: Room,
    /// Absent: no provider is asked to call back.
    pub callbacks: Option<CallbackAddresses>,
    /// Absent: no step is traced.
    pub tracer: Option<Tracer>,
}

#[derive(Debug)]
struct Inner {
    ports: JobPorts,
    limits: JobLimits,
    workers: Arc<Semaphore>,
    /// There may be something to do before the next timer.
    due: Notify,
    schedule: Mutex<Schedule>,
    /// Set once the schedule has what the process before left.
    loaded: OnceCell<()>,
    waiters: Mutex<HashMap<JobId, Arc<Notify>>>,
    /// Open jobs by instance and their id at its provider.
    at_providers: Mutex<HashMap<(String, String), JobId>>,
    /// Open jobs that were called back and have not taken a step since, with the newest event.
    called_back: Mutex<HashMap<JobId, Option<CallbackEvent>>>,
    /// Who looks on while a job is made.
    watchers: Mutex<HashMap<JobId, mpsc::Sender<Preview>>>,
}

/// Takes what a job shows to who looks on.
#[derive(Debug)]
struct Onlooker(mpsc::Sender<Preview>);

impl PreviewSink for Onlooker {
    fn show(&self, preview: Preview) {
        if self.0.try_send(preview).is_err() {
            tracing::debug!("nobody took an unfinished picture");
        }
    }
}

/// Jobs of all users.
#[derive(Clone, Debug)]
pub struct Jobs {
    inner: Arc<Inner>,
}

/// The sets stay consistent whatever panics beside them, so that a poisoned lock is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Jobs {
    /// An engine at rest: [`Jobs::run`] drives it.
    pub fn new(ports: JobPorts, limits: JobLimits) -> Self {
        let inner = Inner {
            ports,
            limits,
            workers: Arc::new(Semaphore::new(limits.workers_max)),
            due: Notify::new(),
            schedule: Mutex::new(Schedule::new(limits.queue)),
            loaded: OnceCell::new(),
            waiters: Mutex::default(),
            at_providers: Mutex::default(),
            called_back: Mutex::default(),
            watchers: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The caller's job.
    ///
    /// # Errors
    /// They have none such.
    pub async fn get(&self, caller: &Caller, id: JobId) -> Result<Job, ServiceError> {
        self.inner.of(caller.user(), id).await
    }

    /// A job that the caller may see: one of their own, or anybody's where they administer the server.
    ///
    /// # Errors
    /// There is none such that they may see.
    pub async fn see(&self, caller: &Caller, id: JobId) -> Result<Job, ServiceError> {
        if !caller.principal.may(Scope::Admin) {
            return self.get(caller, id).await;
        }
        let store = self.inner.ports.store.clone();
        let job = self.inner.ports.pool.run(move || store.job(id)).await?;
        self.inner.of(job.map_or(caller.user(), |job| job.owner), id).await
    }

    /// The caller's jobs, newest first.
    pub async fn list(
        &self,
        caller: &Caller,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, ServiceError> {
        let (store, owner) = (self.inner.ports.store.clone(), caller.user());
        self.inner.ports.pool.run(move || store.jobs_of(owner, before, limit)).await
    }

    /// How long the job has been due that has waited for longest of those for which there is a place: for lack of a worker.
    pub fn oldest_due(&self) -> Duration {
        let now = self.inner.ports.clock.now();
        let since = lock(&self.inner.schedule).oldest_due(now);
        since.map_or(Duration::ZERO, |since| Duration::from_millis(now.0.saturating_sub(since.0)))
    }

    /// How full the queue is.
    pub fn queue(&self) -> QueueCounts {
        lock(&self.inner.schedule).counts()
    }

    /// Jobs of all users that failed with this code, newest first: for operators.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn failed(
        &self,
        code: String,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, ServiceError> {
        let store = self.inner.ports.store.clone();
        self.inner.ports.pool.run(move || store.failed_jobs(&code, before, limit)).await
    }

    /// A user's job, for whoever was given a link to it.
    ///
    /// # Errors
    /// They have none such.
    pub(crate) async fn owned(&self, owner: UserId, id: JobId) -> Result<Job, ServiceError> {
        self.inner.of(owner, id).await
    }

    /// A result of a job that the caller was given.
    ///
    /// # Errors
    /// [`ServiceError::ContentMissing`] if it is gone behind the host's back; the disk is failing, or storage is busy.
    pub async fn open(&self, blob: BlobId, size: u64, content_type: &str) -> Result<Blob, ServiceError> {
        let JobPorts { blobs, pool, .. } = &self.inner.ports;
        opened(blobs, pool, "a job's result", blob, size, content_type).await
    }

    /// Asks for a job to be stopped; its provider is told with its next step, which comes at once.
    ///
    /// # Errors
    /// They have no such job.
    pub async fn cancel(&self, caller: &Caller, id: JobId) -> Result<Job, ServiceError> {
        self.cancel_of(caller.user(), id).await
    }

    /// The same, of a user's job.
    pub(crate) async fn cancel_of(&self, owner: UserId, id: JobId) -> Result<Job, ServiceError> {
        self.inner.of(owner, id).await?;
        self.inner.load().await?;
        let now = self.inner.ports.clock.now();
        let changed = self
            .inner
            .change(id, move |job| {
                let open = !job.state.is_final();
                if open {
                    job.cancel_requested = true;
                    job.wake_at = now;
                }
                open
            })
            .await?;
        self.inner.look_again(id);
        Ok(changed)
    }

    /// Waits until a job is final, `patience` at most, and gives it as it then is.
    ///
    /// # Errors
    /// They have no such job.
    pub async fn wait(&self, caller: &Caller, id: JobId, patience: Duration) -> Result<Job, ServiceError> {
        let _ = tokio::time::timeout(patience, self.wait_long(caller.user(), id)).await;
        self.get(caller, id).await
    }

    async fn wait_long(&self, owner: UserId, id: JobId) -> Result<(), ServiceError> {
        let notify = lock(&self.inner.waiters).entry(id).or_default().clone();
        loop {
            let mut changed = std::pin::pin!(notify.notified());
            changed.as_mut().enable();
            if self.inner.of(owner, id).await?.state.is_final() {
                lock(&self.inner.waiters).remove(&id);
                return Ok(());
            }
            changed.await;
        }
    }
}

impl Inner {
    async fn of(&self, owner: UserId, id: JobId) -> Result<Job, ServiceError> {
        let store = self.ports.store.clone();
        let found = self.ports.pool.run(move || store.job_of(owner, id)).await?;
        found.ok_or(ServiceError::NotFound { what: "such generation" })
    }

    /// A job was told something from outside, as its row says: it takes a step now, or right after the one under way.
    fn look_again(&self, id: JobId) {
        lock(&self.schedule).look_again(id);
        self.due.notify_one();
    }

    /// Changes a job durably and tells who waits for it.
    async fn change(
        &self,
        id: JobId,
        change: impl Fn(&mut Job) -> bool + Send + 'static,
    ) -> Result<Job, ServiceError> {
        let store = self.ports.store.clone();
        let changed = self.ports.pool.run(move || store.change_job(id, &change)).await?;
        let job = changed.ok_or(ServiceError::NotFound { what: "such generation" })?;
        lock(&self.schedule).note(&job);
        if job.state.is_final() {
            lock(&self.watchers).remove(&id);
        }
        let waiter = match job.state.is_final() {
            true => lock(&self.waiters).remove(&id),
            false => lock(&self.waiters).get(&id).cloned(),
        };
        if let Some(waiter) = waiter {
            waiter.notify_waiters();
        }
        Ok(job)
    }
}
