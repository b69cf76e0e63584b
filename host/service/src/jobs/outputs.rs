//! From a job's row to a provider's request, and from a provider's results to what is kept.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::blob::Blob;
use atelier_domain::failure::{Failure, FailureCode, ProviderError};
use atelier_domain::generation::media::{MediaInput, MediaRequest, Output, OutputSource};
use atelier_domain::generation::{Media, MediaSource};
use atelier_domain::job::{Job, StoredOutput, StoredRequest, StoredSource};
use atelier_domain::provider::Provider;

use super::charging::passes;
use super::recording::KEPT_MAX;
use super::training::stored_json;
use super::{Inner, JobPorts};
use crate::ServiceError;
use crate::concealed::{self, Concealed};
use crate::files::opened;
use crate::patience;

/// How often a result is fetched whose provider can be asked for it again.
const FETCHES_MAX: u32 = 3;
/// And one that nobody can be asked for: within the few minutes that a link lives at the least.
const LAST_FETCHES_MAX: u32 = 8;
/// After the first failure; each further pause is twice as long.
const FETCH_PAUSE: Duration = Duration::from_secs(1);
const OUTPUTS_MAX: usize = 256;

/// Where a result is.
#[derive(Clone, Copy)]
enum Address<'a> {
    Public(&'a str),
    /// Where the instance's secret is wanted.
    Guarded(&'a str),
}

impl Inner {
    /// Who does a job, if its instance is configured; under its owner's key if it began with that. It keeps to itself what a template
    /// hides.
    ///
    /// # Errors
    /// Its owner's key is gone, or storage is failing or busy.
    pub(super) async fn provider_of(&self, job: &Job) -> Result<Option<Arc<dyn Provider>>, ServiceError> {
        let instance = job.request.instance();
        let Some(mut provider) = self.ports.registry.provider(instance) else { return Ok(None) };
        if job.bill.is_own_key {
            provider = self.ports.own_keys.provider(job.owner, instance, &provider).await?;
        }
        Ok(Some(match &job.request.template {
            Some(template) => Arc::new(Concealed::new(provider, Arc::new(template.hidden()))),
            None => provider,
        }))
    }

    pub(super) async fn media_request(&self, job: &Job) -> Result<MediaRequest, ServiceError> {
        let stored = job.request.clone();
        let inputs = self.inputs(&stored).await?;
        let model = stored.own_model().to_owned();
        let (prompt, negative_prompt, options) = match stored.template {
            Some(template) => {
                let negative = template.negative_prompt.map(|hidden| hidden.reveal().to_owned());
                let options = stored_json(template.options.reveal())?;
                (Some(template.prompt.reveal().to_owned()), negative, options)
            }
            None => (stored.prompt, stored.negative_prompt, stored_json(&stored.options)?),
        };
        Ok(MediaRequest {
            model,
            task: stored.task,
            prompt,
            negative_prompt,
            inputs,
            count: stored.count,
            size: stored.size,
            aspect_ratio: stored.aspect_ratio,
            duration_ms: stored.duration_ms,
            seed: stored.seed,
            quality: stored.quality,
            format: stored.format,
            background: stored.background,
            previews: stored.previews,
            end_user: stored.end_user,
            options,
        })
    }

    /// The inputs of a job, each with its content.
    pub(super) async fn inputs(&self, stored: &StoredRequest) -> Result<Vec<MediaInput>, ServiceError> {
        let mut inputs = Vec::with_capacity(stored.inputs.len());
        for input in stored.inputs.iter().cloned() {
            let source = match input.source {
                StoredSource::Url(url) => MediaSource::Url(url),
                StoredSource::Blob { id, size } => {
                    let JobPorts { blobs, pool, .. } = &self.ports;
                    let content_type = input.content_type.as_deref().unwrap_or_default();
                    MediaSource::Blob(opened(blobs, pool, "a job's input", id, size, content_type).await?)
                }
            };
            let (content_type, name, attributes) = (input.content_type, input.name, input.attributes);
            let media = Media { source, content_type, name, attributes };
            inputs.push(MediaInput { role: input.role, media });
        }
        Ok(inputs)
    }

    /// Keeps results in our own store, before a provider's links expire (J-9).
    pub(super) async fn keep_outputs(
        &self,
        job: &Job,
        outputs: Vec<Output>,
    ) -> Result<Vec<StoredOutput>, ServiceError> {
        if outputs.is_empty() || outputs.len() > OUTPUTS_MAX {
            let message =
                format!("the provider gave {} results; 1 to {OUTPUTS_MAX} are taken", outputs.len());
            let failure = Box::new(Failure::new(FailureCode::BadResponse, message));
            let instance = job.request.instance();
            return Err(ProviderError::Reported { instance: instance.to_owned(), failure }.into());
        }
        let mut kept = Vec::with_capacity(outputs.len());
        for output in outputs {
            match output {
                Output::Media(media) => {
                    let blob = match media.source {
                        OutputSource::Blob(blob) => blob,
                        OutputSource::Remote(url) => self.fetch(job, Address::Public(&url)).await?,
                        OutputSource::Guarded(url) => self.fetch(job, Address::Guarded(&url)).await?,
                    };
                    let content_type = media.content_type.unwrap_or_else(|| blob.content_type.clone());
                    let blob = patience::patiently(KEPT_MAX, || self.keep(blob.clone())).await?;
                    kept.push(StoredOutput::Media {
                        blob: blob.id,
                        size: blob.size,
                        content_type,
                        revised_prompt: media.revised_prompt,
                        seed: media.seed,
                        attributes: media.attributes,
                    });
                }
                Output::Text(text) => kept.push(StoredOutput::Text(text)),
                Output::Model(id) => kept.push(StoredOutput::Model(id)),
                Output::Other(other) => {
                    tracing::debug!(kind = other.kind, "a result of an unknown kind was left out")
                }
            }
        }
        Ok(kept)
    }

    async fn fetch(&self, job: &Job, address: Address<'_>) -> Result<Blob, ServiceError> {
        let instance = job.request.instance();
        let attempts_max = if job.ticket.is_some() { FETCHES_MAX } else { LAST_FETCHES_MAX };
        let mut attempt = 1;
        loop {
            match self.fetch_once(job, address).await {
                Ok(blob) => return Ok(blob),
                Err(error) if attempt == attempts_max || !passes(&error) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(instance, attempt, %error, "a result could not be fetched; trying again")
                }
            }
            tokio::time::sleep(FETCH_PAUSE * 2u32.pow(attempt - 1)).await;
            attempt += 1;
        }
    }

    async fn fetch_once(&self, job: &Job, address: Address<'_>) -> Result<Blob, ProviderError> {
        let instance = job.request.instance();
        let bytes_max = self.limits.output_bytes_max;
        match address {
            Address::Public(url) => {
                let fetched = self.ports.fetcher.fetch(instance, url, bytes_max).await;
                // An address may hold the whole prompt.
                fetched.map_err(|error| match &job.request.template {
                    Some(template) => concealed::error(&template.hidden(), error),
                    None => error,
                })
            }
            Address::Guarded(url) => match self.provider_of(job).await {
                Ok(Some(provider)) => provider.fetch(url, bytes_max).await,
                missing => Err(ProviderError::Unavailable {
                    instance: instance.to_owned(),
                    reason: match missing {
                        Err(error) => error.to_string(),
                        Ok(_) => "it is not configured any more".to_owned(),
                    },
                    retry_after: None,
                }),
            },
        }
    }
}
