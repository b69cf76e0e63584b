//! Letting a job in.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::blob::{Blob, BlobData};
use atelier_domain::failure::ProviderError;
use atelier_domain::generation::media::{MediaInput, MediaRequest, Preview};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::generation::{Media, MediaSource};
use atelier_domain::hidden::Hidden;
use atelier_domain::id::{JobId, UserId};
use atelier_domain::job::{Job, JobState, StoredInput, StoredRequest, StoredSource, StoredTemplate};
use atelier_domain::model::Task;
use atelier_domain::money::{Bill, Hold};
use atelier_domain::provider::Provider;
use atelier_domain::store::NewJob;
use atelier_domain::text::check_media_prompt;
use atelier_domain::trace::Trace;
use tokio::sync::mpsc;

use super::schedule::Full;
use super::{Inner, Jobs, lock, time_for};
use crate::ServiceError;
use crate::caller::Caller;
use crate::concealed::Concealed;
use crate::generation::context;
use crate::registry::{Resolved, Target};
use crate::templates::{Filled, PromptFault};

/// The feature of a model that takes words of any length.
const LONG_WORDS: &str = "long-words";
/// Unfinished pictures that wait for who looks on.
const PREVIEWS_HELD_MAX: usize = 4;
/// How long a plugin may think about what a job will use.
const ESTIMATE_BUDGET: Duration = Duration::from_secs(5);
/// How long it may take to say whether a job may be sent at all.
const ADMISSION_BUDGET: Duration = Duration::from_secs(60);
/// Bytes copied at once.
const PIECE_BYTES: usize = 1 << 20;

impl Jobs {
    /// Admits a job: once this returns, it is on disk and will be run. `request.model` is an id or alias.
    ///
    /// # Errors
    /// The model, a prompt or an option is refused, or the caller has too many open jobs.
    pub async fn admit(
        &self,
        caller: &Caller,
        task: Task,
        request: MediaRequest,
    ) -> Result<Job, ServiceError> {
        if let Some(job) = self.admitted_before(caller).await? {
            return Ok(job);
        }
        let place = self.place(caller).await?;
        let (job, provider, fallbacks) = self.checked(caller, task, request, None).await?;
        self.create(caller, job, &*provider, &fallbacks, place).await
    }

    /// Admits what a template was filled in to; `inputs` are the files among its variables.
    ///
    /// # Errors
    /// As [`Jobs::admit`].
    pub async fn admit_filled(
        &self,
        caller: &Caller,
        filled: Filled,
        inputs: Vec<MediaInput>,
    ) -> Result<Job, ServiceError> {
        if let Some(job) = self.admitted_before(caller).await? {
            return Ok(job);
        }
        let place = self.place(caller).await?;
        let (task, request, template) = filled.into_media(inputs)?;
        let (job, provider, fallbacks) = self.checked(caller, task, request, Some(template)).await?;
        self.create(caller, job, &*provider, &fallbacks, place).await
    }

    /// Admits a job and looks on while it is made: what it shows until it is final, as far as its provider shows anything. Pictures
    /// that are not taken in time are lost.
    ///
    /// # Errors
    /// As [`Jobs::admit`].
    pub async fn admit_watched(
        &self,
        caller: &Caller,
        task: Task,
        request: MediaRequest,
    ) -> Result<(Job, mpsc::Receiver<Preview>), ServiceError> {
        let (sender, previews) = mpsc::channel(PREVIEWS_HELD_MAX);
        if let Some(job) = self.admitted_before(caller).await? {
            lock(&self.inner.watchers).insert(job.id, sender);
            // Looked at after the sender is there, which goes when the job ends.
            if self.get(caller, job.id).await.is_ok_and(|now| now.state.is_final()) {
                lock(&self.inner.watchers).remove(&job.id);
            }
            return Ok((job, previews));
        }
        let place = self.place(caller).await?;
        let (job, provider, fallbacks) = self.checked(caller, task, request, None).await?;
        lock(&self.inner.watchers).insert(job.id, sender);
        let id = job.id;
        match self.create(caller, job, &*provider, &fallbacks, place).await {
            Ok(job) => Ok((job, previews)),
            Err(error) => {
                lock(&self.inner.watchers).remove(&id);
                Err(error)
            }
        }
    }

    /// The job that an earlier attempt with the caller's idempotency key became, as it was then admitted.
    ///
    /// # Errors
    /// It was deleted since, or storage is failing or busy.
    pub async fn admitted_before(&self, caller: &Caller) -> Result<Option<Job>, ServiceError> {
        let Some(id) = caller.keyed.as_ref().and_then(|keyed| keyed.earlier_job()) else { return Ok(None) };
        match self.get(caller, id).await {
            Ok(job) => Ok(Some(job.as_admitted())),
            Err(ServiceError::NotFound { .. }) => Err(ServiceError::AnswerNotKept),
            Err(error) => Err(error),
        }
    }

    /// Keeps a place in the queue for a job.
    pub(super) async fn place(&self, caller: &Caller) -> Result<Place, ServiceError> {
        self.inner.load().await?;
        let room = self.inner.ports.room.clone();
        self.inner.ports.pool.run(move || room.check()).await?;
        let (owner, queue) = (caller.user(), self.inner.limits.queue);
        match lock(&self.inner.schedule).reserve(owner) {
            Ok(()) => Ok(Place { inner: self.inner.clone(), owner }),
            Err(Full::User) => Err(ServiceError::TooManyJobs { max: queue.open_per_user_max }),
            Err(Full::Queue) => Err(ServiceError::QueueFull { max: queue.open_max }),
        }
    }

    /// Stores a job together with the hold of what it may cost and the claim of its request.
    pub(super) async fn create(
        &self,
        caller: &Caller,
        mut job: Job,
        provider: &dyn Provider,
        fallbacks: &[String],
        place: Place,
    ) -> Result<Job, ServiceError> {
        let ledger = &self.inner.ports.ledger;
        let price = if job.bill.is_own_key { None } else { ledger.price(&job.request.model)? };
        // One that has no price, and needs one, does not step in.
        let fallbacks: Vec<_> =
            fallbacks.iter().filter_map(|model| Some((model.clone(), ledger.price(model).ok()?))).collect();
        let others = fallbacks.iter().filter_map(|(_, price)| price.as_ref());
        let costs = price.iter().chain(others).any(|price| !price.snapshot.is_free());
        if self.inner.ports.registry.is_screened() {
            let request = self.inner.request(&job).await?;
            provider.admit(context(caller, ADMISSION_BUDGET), &request).await?;
        }
        let estimate = if costs {
            let request = self.inner.request(&job).await?;
            match provider.estimate(context(caller, ESTIMATE_BUDGET), request).await {
                // Whoever steps in is not asked: the host estimates.
                Err(_) if !fallbacks.is_empty() => Vec::new(),
                told => told.or_else(unknown)?,
            }
        } else {
            Vec::new()
        };
        let hold = ledger.bill(caller, &mut job, price.as_deref(), &fallbacks, estimate)?;
        // On its own: a job that is stored is also run, although the caller may leave meanwhile.
        let storing = tokio::spawn(self.inner.clone().store(caller.clone(), job, hold, place));
        storing.await.map_err(|error| ServiceError::Internal(format!("storing a job stopped: {error}")))?
    }

    /// The job that a request becomes, who is to do it, and which models may step in.
    async fn checked(
        &self,
        caller: &Caller,
        task: Task,
        request: MediaRequest,
        template: Option<StoredTemplate>,
    ) -> Result<(Job, Arc<dyn Provider>, Vec<String>), ServiceError> {
        let inner = &self.inner;
        if !task.is_media() {
            return Err(ServiceError::Invalid {
                param: "task".to_owned(),
                message: format!("{task} is not run as a job"),
            });
        }
        let resolved = match &template {
            // Its prompt is hidden from the caller, and must not come into an account of theirs.
            Some(_) => {
                caller.without_own_key()?;
                inner.ports.registry.resolve(&request.model, task, caller).await?
            }
            None => inner.resolve(caller, &request.model, task).await?,
        };
        let long_words = resolved.model.info.features.iter().any(|feature| feature == LONG_WORDS);
        let checked = |param: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => match check_media_prompt(text, long_words) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(why) => Err(ServiceError::Prompt { param: param.to_owned(), why }),
            },
        };
        let prompt = checked("prompt", &request.prompt)?;
        let negative_prompt = checked("negative_prompt", &request.negative_prompt)?;
        match resolved.model.options().check(&request.options) {
            // The mistake is the template's, and quotes it.
            Err(_) if template.is_some() => return Err(ServiceError::Template(PromptFault::Misfit)),
            checked => checked?,
        }
        // Nobody steps in at another's cost than the first's.
        let is_own = resolved.model.is_own;
        let takes = |target: &&Target| {
            !is_own && !target.model.is_own && target.model.options().check(&request.options).is_ok()
        };
        let fallbacks =
            resolved.fallbacks.iter().filter(takes).map(|target| target.model.id.as_str().to_owned());
        let fallbacks: Vec<String> = fallbacks.collect();
        let mut inputs = Vec::with_capacity(request.inputs.len());
        for input in request.inputs {
            inputs.push(inner.keep_input(input).await?);
        }
        let (prompt, negative_prompt, options, template) = match template {
            Some(template) => {
                let (prompt, negative) = (prompt.unwrap_or_default(), negative_prompt.map(Hidden::new));
                let template =
                    StoredTemplate { prompt: Hidden::new(prompt), negative_prompt: negative, ..template };
                (None, None, "{}".to_owned(), Some(Box::new(template)))
            }
            None => (prompt, negative_prompt, request.options.get().to_owned(), None),
        };
        let request = StoredRequest {
            model: resolved.model.id.as_str().to_owned(),
            task: task.as_str().to_owned(),
            prompt,
            negative_prompt,
            inputs,
            count: request.count,
            size: request.size,
            aspect_ratio: request.aspect_ratio,
            duration_ms: request.duration_ms,
            seed: request.seed,
            quality: request.quality,
            format: request.format,
            background: request.background,
            previews: request.previews,
            end_user: request.end_user,
            options,
            training: None,
            template,
        };
        let provider: Arc<dyn Provider> = match &request.template {
            Some(template) => Arc::new(Concealed::new(resolved.provider, Arc::new(template.hidden()))),
            None => resolved.provider,
        };
        let mut job = inner.job(caller, task, request);
        job.bill.is_own_key = resolved.model.is_own;
        Ok((job, provider, fallbacks))
    }
}

/// A provider that does not say is no failure: the host estimates.
fn unknown(error: ProviderError) -> Result<Vec<UsageLine>, ProviderError> {
    if matches!(error, ProviderError::Unsupported { .. }) { Ok(Vec::new()) } else { Err(error) }
}

/// A place in the queue. Given back when dropped: by then its job is in the schedule, or will not be.
pub(super) struct Place {
    inner: Arc<Inner>,
    owner: UserId,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.inner.schedule).release(self.owner);
    }
}

impl Inner {
    async fn store(
        self: Arc<Self>,
        caller: Caller,
        job: Job,
        hold: Option<Hold>,
        place: Place,
    ) -> Result<Job, ServiceError> {
        let create = || {
            let claim = caller.keyed.as_ref().and_then(|keyed| keyed.claim_for(job.id));
            let (store, row) = (self.ports.store.clone(), job.clone());
            self.ports.pool.run(move || {
                let claim = claim.as_ref().map(|(key, claim)| (key, claim));
                store.create_job(&NewJob { job: &row, claim, hold: hold.as_ref() })
            })
        };
        match create().await {
            // What is missing may be set aside for live calls that nobody makes.
            Err(ServiceError::Refused(_)) => {
                self.ports.ledger.recall(caller.user()).await?;
                create().await?;
            }
            outcome => outcome?,
        }
        lock(&self.schedule).note(&job);
        drop(place);
        if let Some(keyed) = &caller.keyed {
            keyed.became(job.id);
        }
        self.due.notify_one();
        Ok(job)
    }

    /// The model that a job is for, under its caller's own key if they keep one.
    pub(super) async fn resolve(
        &self,
        caller: &Caller,
        model: &str,
        task: Task,
    ) -> Result<Resolved, ServiceError> {
        if caller.own_key.is_some() {
            return Err(ServiceError::OwnKeyNotKept);
        }
        let resolved = self.ports.registry.resolve(model, task, caller).await?;
        self.ports.own_keys.apply(caller, resolved).await
    }

    /// A job that is due at once.
    pub(super) fn job(&self, caller: &Caller, task: Task, request: StoredRequest) -> Job {
        let now = self.ports.clock.now();
        Job {
            id: JobId::new(),
            owner: caller.user(),
            state: JobState::Queued,
            request,
            request_id: Some((*caller.request_id).to_owned()),
            trace: caller.trace.as_ref().map(Trace::context),
            created: now,
            started: None,
            finished: None,
            deadline: now.plus(time_for(task)),
            progress: None,
            attempt: 0,
            charging: false,
            cancel_requested: false,
            wake_at: now,
            ticket: None,
            outputs: Vec::new(),
            usage: Vec::new(),
            error: None,
            bill: Bill::default(),
            is_erased: false,
        }
    }

    pub(super) async fn keep_input(&self, input: MediaInput) -> Result<StoredInput, ServiceError> {
        let source = match input.media.source.clone() {
            MediaSource::Url(url) => StoredSource::Url(url),
            MediaSource::Blob(blob) => {
                let kept = self.keep(blob).await?;
                StoredSource::Blob { id: kept.id, size: kept.size }
            }
        };
        let Media { content_type, name, attributes, .. } = input.media;
        Ok(StoredInput { role: input.role, source, content_type, name, attributes })
    }

    /// Copies a blob into the store, unless it is there; a row may name it from then on.
    pub(super) async fn keep(&self, blob: Blob) -> Result<Blob, ServiceError> {
        let store = self.ports.blobs.clone();
        self.ports
            .pool
            .run(move || -> io::Result<Blob> {
                match store.claim(&blob.id, &blob.content_type) {
                    Ok(Some(known)) if known.size == blob.size => return Ok(known),
                    Ok(_) => {}
                    // Damaged content is mended by being written again.
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                    Err(error) => return Err(error),
                }
                let mut writer = store.create(&blob.content_type)?;
                match &blob.data {
                    BlobData::Memory(bytes) => writer.append(bytes)?,
                    BlobData::File { .. } => {
                        let mut offset = 0;
                        while offset < blob.size {
                            let piece = blob.read(offset, PIECE_BYTES)?;
                            writer.append(&piece)?;
                            offset += piece.len() as u64;
                        }
                    }
                }
                writer.finish()
            })
            .await
    }
}
